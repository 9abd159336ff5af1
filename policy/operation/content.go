package operation

import "strings"

// surface is what an RPC's service is served over, or that there is no RPC.
type surface uint8

const (
	notRPC     surface = iota // no descriptor: reachable by its routes only
	rpcConnect                // v2 and v2beta: Connect, gRPC, gRPC-web
	rpcGateway                // v1: gRPC, gRPC-web and its base64 form; no Connect
)

// surfaceOf goes by the service: ZITADEL serves the four v1 services by other
// libraries than the rest.
func surfaceOf(name Name) surface {
	for _, v1 := range [...]string{"zitadel.management.v1.", "zitadel.admin.v1.", "zitadel.auth.v1.", "zitadel.system.v1."} {
		if strings.HasPrefix(string(name), v1) {
			return rpcGateway
		}
	}
	return rpcConnect
}

// rpcBody tells whether an operation can be called with this content type on
// its RPC path, and whether the body is JSON then. The gRPC forms are exact, as
// ZITADEL's v1 services compare them: with a parameter they would fall through
// to another handler. Those services take +json and read the body as protobuf
// all the same (grpc-go falls back to it for a codec that it does not have), so
// that JSON made for the purpose would be judged as one message and performed
// as another. Before version 4 ZITADEL served every service so, and no client of
// its own sends it: only unlisted operations, whose messages nobody judges, keep it.
func rpcBody(op *Operation, contentType string) (json bool, err *Error) {
	switch contentType {
	case "application/grpc", "application/grpc+proto", "application/grpc-web", "application/grpc-web+proto":
		return false, nil
	case "application/grpc+json", "application/grpc-web+json":
		if op.Unlisted && op.surface == rpcConnect {
			return true, nil
		}
		return false, fail(ReasonContentType, "ZITADEL may read "+contentType+" as protobuf; send protobuf with application/grpc or application/grpc-web, or JSON by Connect or to the REST path of "+string(op.Name))
	case "application/grpc-web-text", "application/grpc-web-text+proto":
		if op.surface == rpcGateway {
			return false, nil
		}
		return false, fail(ReasonContentType, "application/grpc-web-text is served for v1 services only; use application/grpc-web")
	}
	if hasPrefixFold(contentType, "application/grpc") {
		return false, fail(ReasonContentType, "this form of application/grpc is not served; use application/grpc, application/grpc-web, or either with +proto, without parameters")
	}
	if op.surface == rpcGateway {
		return false, fail(ReasonUnknownOperation, "ZITADEL serves no Connect for v1 services; use gRPC, gRPC-web or the REST path of "+string(op.Name))
	}
	return connectBody(op, contentType)
}

func connectBody(op *Operation, contentType string) (json bool, err *Error) {
	switch {
	case isJSON(contentType, "application/json"):
		return true, nil
	case strings.EqualFold(contentType, "application/proto"):
		return false, nil
	case op.Unlisted && isJSON(contentType, "application/connect+json"):
		return true, nil
	case op.Unlisted && strings.EqualFold(contentType, "application/connect+proto"):
		return false, nil
	case hasPrefixFold(contentType, "application/connect+"):
		return false, fail(ReasonContentType, string(op.Name)+" does not stream; use application/json or application/proto")
	}
	return false, fail(ReasonContentType, "calling "+string(op.Name)+" needs the content type application/json, application/proto, application/grpc or application/grpc-web")
}

// accepts is what a REST route takes as its body.
type accepts uint8

const (
	acceptsNothing accepts = iota
	acceptsJSON
	acceptsSCIM
	acceptsSCIMNothing // no body, by a client that announces SCIM all the same
	acceptsUpload
)

// routeBody checks the content type of a REST route. ZITADEL would parse any
// type as JSON, so that a form or text/plain would pass a browser's preflight.
func routeBody(a accepts, contentType string) *Error {
	switch a {
	case acceptsNothing:
		if contentType == "" || isJSON(contentType, "application/json") {
			return nil
		}
		return fail(ReasonContentType, "this request has no body; leave out Content-Type or send application/json")
	case acceptsSCIM, acceptsSCIMNothing:
		if contentType == "" && a == acceptsSCIMNothing || isJSON(contentType, "application/scim+json") || isJSON(contentType, "application/json") {
			return nil
		}
		return fail(ReasonContentType, "send the content type application/scim+json")
	case acceptsUpload:
		const form = "multipart/form-data"
		if hasPrefixFold(contentType, form) && strings.HasPrefix(strings.TrimLeft(contentType[len(form):], " "), ";") {
			return nil
		}
		return fail(ReasonContentType, "send the file as multipart/form-data with a boundary")
	}
	if isJSON(contentType, "application/json") {
		return nil
	}
	return fail(ReasonContentType, "send the content type application/json")
}

// isJSON compares media types without regard to case and allows the one
// parameter that means nothing for JSON: charset=utf-8.
func isJSON(contentType, want string) bool {
	if contentType == want {
		return true
	}
	if !hasPrefixFold(contentType, want) {
		return false
	}
	parameter := strings.TrimLeft(contentType[len(want):], " ")
	if parameter == "" {
		return len(contentType) == len(want)
	}
	if parameter[0] != ';' {
		return false
	}
	parameter = strings.TrimLeft(parameter[1:], " ")
	return strings.EqualFold(parameter, "charset=utf-8") || strings.EqualFold(parameter, `charset="utf-8"`)
}

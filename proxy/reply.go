package proxy

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/zproxy/zproxy/policy/operation"
)

// RequestIDHeader carries zproxy's request id on every answer, ZITADEL's too.
const RequestIDHeader = "Zproxy-Request-Id"

// errorDetail is the message type by which ZITADEL's own clients read an error's id and text.
const errorDetail = "zitadel.v1.ErrorDetail"

// reply answers a request of our own accord, in the protocol it came in, so that
// unmodified ZITADEL clients show code, message and request id. It returns the
// HTTP status and, where the protocol has one, the gRPC status that it wrote.
func reply(w http.ResponseWriter, in *http.Request, protocol operation.Protocol, id string, r *refusal) (status int, grpcStatus string) {
	as := wireOf(r.reason)
	contentType := in.Header.Get("Content-Type")
	// Clients of other services do not know ZITADEL's detail message.
	withDetail := protocol == operation.REST || strings.HasPrefix(in.URL.Path, "/zitadel.")
	h := w.Header()
	ends := h.Get("Connection") // ours alone: ZITADEL's stays there
	if clear(h); ends != "" {
		h.Set("Connection", ends)
	}
	h.Set(RequestIDHeader, id)
	h.Set("Proxy-Status", `zproxy; error=`+as.proxy+`; details="`+string(r.reason)+`"`)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	if r.retryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(r.retryAfter))
	}
	message := told(r, id)
	switch protocol {
	case operation.GRPC, operation.GRPCWeb, operation.GRPCWebText:
		return replyGRPC(w, protocol, contentType, as, statusProto(as.code, message, detail(r, withDetail)), message)
	case operation.Connect:
		if r.reason == Reason(operation.ReasonMethodNotAllowed) || r.reason == Reason(operation.ReasonContentType) {
			// Not a Connect request at all: its client reads the status, as it does
			// with other Connect servers (https://connectrpc.com/docs/protocol#http-to-error-code).
			return replyText(w, as.status, message), ""
		}
		return replyJSON(w, "application/json", as.status, connectBody(as, detail(r, withDetail), message)), ""
	case operation.ConnectStream:
		return replyConnectStream(w, contentType, as, detail(r, withDetail), message), ""
	case operation.OIDC:
		return replyJSON(w, "application/json", as.status, map[string]any{
			"error": oauthError(as), "error_description": message,
		}), ""
	case operation.SCIM:
		return replyJSON(w, "application/scim+json", as.status, map[string]any{
			"schemas": []string{"urn:ietf:params:scim:api:messages:2.0:Error"}, // RFC 7644 section 3.12
			"detail":  message, "status": strconv.Itoa(as.status),
		}), ""
	}
	if as.status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Bearer realm="zproxy"`)
	}
	return replyJSON(w, "application/json", as.status, map[string]any{
		"code": as.code, "message": message,
		"details": []any{map[string]string{
			"@type": "type.googleapis.com/" + errorDetail, "id": detailID(r.reason), "message": r.message,
		}},
	}), ""
}

// told is the message of a refusal as callers get it.
func told(r *refusal, id string) string {
	return r.message + " (" + string(r.reason) + ", request " + id + ")"
}

// replyText writes message as the whole answer and returns the status.
func replyText(w http.ResponseWriter, status int, message string) int {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(len(message)+1))
	w.WriteHeader(status)
	_, _ = io.WriteString(w, message+"\n")
	return status
}

// replyJSON writes body as the whole answer and returns the status.
func replyJSON(w http.ResponseWriter, contentType string, status int, body any) int {
	text, err := json.Marshal(body)
	if err != nil { // strings and numbers only: cannot happen, and must not become a success
		text = []byte("{}")
	}
	text = append(text, '\n') // for people at a terminal
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(status)
	_, _ = w.Write(text) // the caller may be gone; the record is written either way
	return status
}

// connectBody is Connect's error object
// (https://connectrpc.com/docs/protocol#error-end-stream).
func connectBody(told wire, detail []byte, message string) map[string]any {
	body := map[string]any{"code": told.code.connectName(), "message": message}
	if detail != nil {
		body["details"] = []any{map[string]string{"type": errorDetail, "value": base64.RawStdEncoding.EncodeToString(detail)}}
	}
	return body
}

// replyConnectStream ends a Connect stream at once: HTTP 200 and one end-of-stream frame.
func replyConnectStream(w http.ResponseWriter, contentType string, told wire, detail []byte, message string) int {
	end, err := json.Marshal(map[string]any{"error": connectBody(told, detail, message)})
	if err != nil {
		end = []byte("{}")
	}
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(frame(0x02, end))
	return http.StatusOK
}

// replyGRPC answers trailers-only: the status stands in the header and there is
// no message (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md#responses).
// gRPC-web's text form has no such shortcut and gets its one trailer frame.
func replyGRPC(w http.ResponseWriter, protocol operation.Protocol, contentType string, told wire, details []byte, message string) (int, string) {
	h := w.Header()
	grpcStatus := strconv.Itoa(int(told.code))
	h.Set("Content-Type", contentType)
	if protocol == operation.GRPCWebText {
		w.WriteHeader(http.StatusOK)
		trailer := "grpc-status: " + grpcStatus + "\r\ngrpc-message: " + percentEncode(message) + "\r\n"
		_, _ = w.Write([]byte(base64.StdEncoding.EncodeToString(frame(0x80, []byte(trailer)))))
		return http.StatusOK, grpcStatus
	}
	h.Set("Grpc-Status", grpcStatus)
	h.Set("Grpc-Message", percentEncode(message))
	h.Set("Grpc-Status-Details-Bin", base64.RawStdEncoding.EncodeToString(details))
	w.WriteHeader(http.StatusOK)
	return http.StatusOK, grpcStatus
}

// frame puts the five-byte prefix of gRPC and Connect streams before message.
func frame(flags byte, message []byte) []byte {
	out := make([]byte, 5, 5+len(message))
	out[0] = flags
	binary.BigEndian.PutUint32(out[1:], uint32(len(message)))
	return append(out, message...)
}

func detailID(r Reason) string { return "ZPROXY-" + string(r) }

// detail is a zitadel.v1.ErrorDetail on the wire: id is field 1, message field
// 2; nil where none is wanted.
func detail(r *refusal, wanted bool) []byte {
	if !wanted {
		return nil
	}
	return appendField(appendField(nil, 1, detailID(r.reason)), 2, r.message)
}

// statusProto is a google.rpc.Status on the wire: code 1, message 2, details 3 (an Any).
func statusProto(c code, message string, detail []byte) []byte {
	out := appendField([]byte{1 << 3, byte(c)}, 2, message)
	if detail == nil {
		return out
	}
	anyDetail := appendField(appendField(nil, 1, "type.googleapis.com/"+errorDetail), 2, string(detail))
	return appendField(out, 3, string(anyDetail))
}

// appendField appends a length-delimited field of the protobuf wire format.
func appendField(b []byte, number int, value string) []byte {
	b = append(b, byte(number<<3|2))
	b = binary.AppendUvarint(b, uint64(len(value)))
	return append(b, value...)
}

// percentEncode is the encoding of grpc-message: bytes outside printable ASCII,
// and '%', as %XX.
func percentEncode(s string) string {
	const hex = "0123456789ABCDEF"
	plain := true
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' || s[i] == '%' {
			plain = false
			break
		}
	}
	if plain {
		return s
	}
	out := make([]byte, 0, len(s)+16)
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '%' {
			out = append(out, '%', hex[c>>4], hex[c&15])
		} else {
			out = append(out, c)
		}
	}
	return string(out)
}

// oauthError picks the code of RFC 6749 section 5.2 and RFC 6750 section 3.1 that fits best.
func oauthError(told wire) string {
	switch {
	case told.status == http.StatusUnauthorized:
		return "invalid_token"
	case told.status == http.StatusForbidden:
		return "access_denied"
	case told.status >= 500, told.status == http.StatusTooManyRequests:
		return "temporarily_unavailable"
	}
	return "invalid_request"
}

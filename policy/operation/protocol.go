package operation

import "strings"

// String is the name that records and messages use: "rest", "connect",
// "connect-stream", "grpc", "grpc-web", "grpc-web-text", "oidc", "scim", "asset".
func (p Protocol) String() string {
	switch p {
	case Connect:
		return "connect"
	case ConnectStream:
		return "connect-stream"
	case GRPC:
		return "grpc"
	case GRPCWeb:
		return "grpc-web"
	case GRPCWebText:
		return "grpc-web-text"
	case OIDC:
		return "oidc"
	case SCIM:
		return "scim"
	case Asset:
		return "asset"
	}
	return "rest"
}

// protocolOf classifies any request, also one that is going to be refused: by
// path first, then by content type, as ZITADEL chooses its handler.
func protocolOf(path, contentType string) Protocol {
	switch {
	case strings.HasPrefix(path, "/oauth/"), strings.HasPrefix(path, "/oidc/"), strings.HasPrefix(path, "/.well-known/"):
		return OIDC
	case strings.HasPrefix(path, "/scim/"):
		return SCIM
	case strings.HasPrefix(path, "/assets/"):
		return Asset
	case hasPrefixFold(contentType, "application/grpc-web-text"):
		return GRPCWebText
	case hasPrefixFold(contentType, "application/grpc-web"):
		return GRPCWeb
	case hasPrefixFold(contentType, "application/grpc"):
		return GRPC
	case !isRPC(path):
		return REST
	case hasPrefixFold(contentType, "application/connect+"):
		return ConnectStream
	}
	return Connect
}

// isRPC tells whether path has the form of an RPC's: "/package.Service/Method".
func isRPC(path string) bool {
	if len(path) < 2 || path[0] != '/' || path[1] == '.' {
		return false
	}
	service, method, ok := strings.Cut(path[1:], "/")
	return ok && strings.IndexByte(service, '.') > 0 && strings.IndexByte(method, '/') < 0
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

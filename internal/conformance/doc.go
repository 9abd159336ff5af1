// Package conformance runs the conformance suite of connectrpc.com through
// zproxy: real clients and servers for Connect, gRPC and gRPC-web, with unary
// and streaming calls, over HTTP/1.1 and HTTP/2. It holds tests only.
package conformance

package sandbox

import (
	"encoding/base64"
	"io"
	"net/http"
	"strings"
)

// v1RPC makes a call of a v1 service one that connect serves, as ZITADEL's
// libraries for these services read it: gRPC-web's text form is base64 both
// ways, and every codec is protobuf, since grpc-go falls back to it for those
// that it does not have. It is false for what ZITADEL takes to be no call.
func v1RPC(w http.ResponseWriter, r *http.Request) (http.ResponseWriter, *http.Request, bool) {
	contentType := r.Header.Get("Content-Type")
	form, codec, _ := strings.Cut(contentType, "+")
	if contentType != form && codec != "proto" && codec != "json" {
		return nil, nil, false
	}
	read := r.Clone(r.Context())
	switch form {
	case "application/grpc", "application/grpc-web":
	case "application/grpc-web-text":
		form = "application/grpc-web"
		read.Body = io.NopCloser(base64.NewDecoder(base64.StdEncoding, r.Body))
		read.ContentLength = -1
		w = &textWriter{ResponseWriter: w, contentType: contentType}
	default:
		return nil, nil, false
	}
	read.Header.Set("Content-Type", form+"+proto")
	return w, read, true
}

// textWriter writes each piece of an answer as base64 with its own padding.
type textWriter struct {
	http.ResponseWriter
	contentType string
}

// WriteHeader answers with the request's content type.
func (w *textWriter) WriteHeader(status int) {
	w.Header().Set("Content-Type", w.contentType)
	w.ResponseWriter.WriteHeader(status)
}

// Write reports how many bytes of p, not of their base64, were taken.
func (w *textWriter) Write(p []byte) (int, error) {
	w.Header().Set("Content-Type", w.contentType)
	if _, err := io.WriteString(w.ResponseWriter, base64.StdEncoding.EncodeToString(p)); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Unwrap lets connect flush.
func (w *textWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

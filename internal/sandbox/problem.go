package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
)

// maxMessage is the size of the largest message that ZITADEL's v1 takes, in bytes.
const maxMessage = 4 << 20

func readLimited(r *http.Request) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(r.Body, maxMessage+1))
	if err == nil && len(text) > maxMessage {
		err = errors.New("grpc: received message larger than max")
	}
	return text, err
}

// httpStatus is the status of a gRPC code on REST.
func httpStatus(code int) int {
	switch code {
	case 3, 9:
		return http.StatusBadRequest
	case 5:
		return http.StatusNotFound
	case 6:
		return http.StatusConflict
	case 7:
		return http.StatusForbidden
	case 8:
		return http.StatusTooManyRequests
	case 12:
		return http.StatusNotImplemented
	case 14:
		return http.StatusServiceUnavailable
	case 16:
		return http.StatusUnauthorized
	}
	return http.StatusInternalServerError
}

// writeProblem is an error of ZITADEL's REST gateway.
func writeProblem(w http.ResponseWriter, p *problem) {
	writeStatus(w, httpStatus(p.code), p)
}

func writeStatus(w http.ResponseWriter, status int, p *problem) {
	w.Header().Set("Content-Type", "application/json")
	if status == http.StatusUnauthorized {
		w.Header().Set("Www-Authenticate", p.text()) // no valid challenge, as in ZITADEL
	}
	details := []any{}
	if p.id != "" {
		details = append(details, map[string]string{"@type": "type.googleapis.com/zitadel.v1.ErrorDetail", "id": p.id, "message": p.message})
	}
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"code": p.code, "message": p.text(), "details": details})
}

// routingError answers what no binding matches; the wrong method is 405.
func routingError(_ context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, w http.ResponseWriter, _ *http.Request, status int) {
	switch status {
	case http.StatusMethodNotAllowed:
		writeStatus(w, status, &problem{12, "", "Method Not Allowed"})
	case http.StatusBadRequest:
		writeStatus(w, status, &problem{3, "", "Bad Request"})
	default:
		writeStatus(w, http.StatusNotFound, &problem{5, "", "Not Found"})
	}
}

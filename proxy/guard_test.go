package proxy_test

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
)

// What this build does not know may stream; each message is looked at all the same.
func TestOwnServiceUserInAStreamOfAnUnlistedOperationIsRefused(t *testing.T) {
	aimed := append([]byte{1<<3 | 2, byte(len(ownID))}, ownID...)
	for name, c := range map[string]struct {
		contentType, encodingHeader string
		body                        []byte
		reason                      string
	}{
		"GRPC":              {"application/grpc", "", framed(0, aimed), "own_service_user"},
		"GRPCSecondMessage": {"application/grpc", "", append(framed(0, nil), framed(0, aimed)...), "own_service_user"},
		"GRPCGzip":          {"application/grpc", "Grpc-Encoding", framed(1, zipped(aimed)), "own_service_user"},
		"ConnectStreamGzip": {"application/connect+proto", "Connect-Content-Encoding", framed(1, zipped(aimed)), "own_service_user"},
		"ConnectUnary":      {"application/proto", "", aimed, "own_service_user"},
		"TooLarge":          {"application/grpc", "", framed(0, make([]byte, 300<<10)), "body_too_large"},
		"Unreadable":        {"application/grpc", "", framed(7, nil), "unreadable_body"},
		"Truncated":         {"application/grpc", "", framed(0, aimed)[:9], "body_read"},
	} {
		t.Run(name, func(t *testing.T) {
			whole := make(chan bool, 4) // whether a body came to its end upstream
			g := newGateway(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				text, err := io.ReadAll(r.Body)
				whole <- err == nil || bytes.Contains(text, []byte(ownID))
			}), options{})
			r, err := http.NewRequest(http.MethodPost, g.url+"/"+unlisted+"Stream", io.MultiReader(bytes.NewReader(c.body)))
			check(t, err)
			r.Header.Set("Content-Type", c.contentType)
			if c.encodingHeader != "" {
				r.Header.Set(c.encodingHeader, "gzip")
			}
			res, err := client(t, 2).Do(r)
			check(t, err)
			_, _ = io.Copy(io.Discard, res.Body)
			res.Body.Close()
			if got := res.Header.Get("Proxy-Status"); !strings.Contains(got, `"`+c.reason+`"`) {
				t.Errorf("Proxy-Status %q, want %s", got, c.reason)
			}
			records := g.records(t, 1)
			if r := records[len(records)-1]; r.Reason != c.reason {
				t.Errorf("record %+v", r)
			}
			select {
			case reached := <-whole:
				if reached {
					t.Error("the whole body, or the id, arrived upstream")
				}
			default:
			}
		})
	}
}

package authn

import (
	"net/http"
	"strings"
)

// CheckBrowser refuses requests that a browser made, with [ReasonBrowser]. Origin and the Sec- fields
// are forbidden to pages (https://fetch.spec.whatwg.org/#forbidden-request-header),
// so a page can neither forge nor remove them. Their presence counts, whatever the value.
func CheckBrowser(h http.Header) error {
	for name := range h {
		if name == "Origin" || strings.HasPrefix(name, "Sec-Fetch-") || strings.HasPrefix(name, "Sec-Websocket-") {
			return &Error{ReasonBrowser, "checking for a browser: the request has " + name + ", which browsers send, and a browser is no caller; call from a service"}
		}
	}
	return nil
}

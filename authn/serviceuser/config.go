package serviceuser

import (
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// Config holds what all kinds of credential need.
type Config struct {
	// Name is the service user's name in the configuration. It stands in errors
	// and events. It must not be empty.
	Name string
	// Issuer is the instance's public origin, such as https://id.example.com:
	// the audience of assertions and the Host of token requests. A JWT access
	// token is valid only under the host it was issued for, so this must be the
	// host that the API is called with. Kinds that make no token request do
	// without.
	Issuer *url.URL
	// Address is where to connect instead of the issuer: scheme and host. If
	// nil, the issuer.
	Address *url.URL
	// Transport carries the token requests. With an Address of scheme https it
	// must verify the certificate against the issuer's name. If nil, a transport
	// that does so, with the system's trust. Redirects are refused in any case.
	Transport http.RoundTripper
	// Clock tells the time. If nil, time.Now. Tokens are judged by the wall
	// clock, because the monotonic one stands still while a machine sleeps.
	Clock func() time.Time
	// Observe is told what happens, from the goroutine of [Source.Run], one
	// event at a time. It should return soon: fetches wait for it, requests do
	// not. If nil, nothing is told.
	Observe func(Event)
}

// Format prints the name.
func (c Config) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "[configuration of service user %q]", c.Name)
}

package serviceuser

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

const (
	tokenPath = "/oauth/v2/token"

	// Without this scope ZITADEL issues a token that each of its APIs refuses
	// with 401: it lacks the audience of the ZITADEL project.
	scopeAPI = "urn:zitadel:iam:org:project:id:zitadel:aud"

	// fetchTimeout bounds one token request from dialling to the last byte.
	fetchTimeout = 10 * time.Second
)

// endpoint is ZITADEL's token endpoint.
type endpoint struct {
	issuer    string // the origin, the assertion's audience
	host      string // the Host header, which chooses the instance
	url       string // where the request goes
	transport http.RoundTripper
	clock     func() time.Time
	ahead     atomic.Int64 // how far the server's clock is, in nanoseconds, where assertions go by it
}

// maxCorrection is the largest difference of the clocks that assertions make
// up for. Beyond it no clock has drifted: somebody has set one wrong.
const maxCorrection = time.Hour

// doubt follows a refused assertion. If the server's clock differs from ours so
// much that this can be why, the next assertion goes by the server's; if it did
// already, by ours again, for the Date may be of something before ZITADEL.
func (e *endpoint) doubt(skew time.Duration) {
	if e.ahead.Load() != 0 || skew.Abs() <= maxQuietSkew || skew.Abs() > maxCorrection {
		skew = 0
	}
	e.ahead.Store(int64(skew))
}

// time is now as assertions should tell it.
func (e *endpoint) time(now time.Time) time.Time { return now.Add(time.Duration(e.ahead.Load())) }

// grant is what differs between the kinds of token requests.
type grant struct {
	clientID     string
	clientSecret secret
	params       url.Values
	assertion    bool   // the request carries an assertion
	shown        secret // what the request shows the server and no text may repeat
}

func newEndpoint(issuer, address *url.URL, transport http.RoundTripper, clock func() time.Time) (*endpoint, error) {
	iss, err := origin(issuer)
	if err != nil {
		return nil, fmt.Errorf("the issuer: %w", err)
	}
	to := iss
	if address != nil {
		if to, err = origin(address); err != nil {
			return nil, fmt.Errorf("the address: %w", err)
		}
	}
	if transport == nil {
		transport = newTransport(iss.Hostname())
	}
	return &endpoint{
		issuer:    iss.Scheme + "://" + iss.Host,
		host:      iss.Host,
		url:       to.Scheme + "://" + to.Host + tokenPath,
		transport: transport,
		clock:     clock,
	}, nil
}

// origin checks that u is scheme and host alone and returns it as ZITADEL
// writes origins: lower case, without the scheme's own port, without a slash.
func origin(u *url.URL) (*url.URL, error) {
	switch {
	case u == nil || u.Host == "" || u.Hostname() == "":
		return nil, errors.New("no host is given; expected an origin such as https://id.example.com")
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, fmt.Errorf("the scheme %q is neither https nor http", u.Scheme)
	case u.User != nil:
		return nil, errors.New("it carries user information, which must not stand in a URL")
	case (u.Path != "" && u.Path != "/") || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || u.Opaque != "":
		return nil, errors.New("it has more than scheme and host; expected an origin such as https://id.example.com")
	case strings.HasSuffix(u.Hostname(), "."):
		return nil, errors.New("its host ends in a dot, which ZITADEL does not take for the same domain")
	}
	host := strings.ToLower(u.Host)
	switch {
	case u.Port() == "443" && u.Scheme == "https", u.Port() == "80" && u.Scheme == "http", u.Port() == "":
		host = strings.TrimSuffix(strings.TrimSuffix(host, u.Port()), ":")
	}
	return &url.URL{Scheme: u.Scheme, Host: host}, nil
}

// newTransport serves when the wiring gives none. Token requests are hours
// apart, so no connection is kept.
func newTransport(serverName string) http.RoundTripper {
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, ServerName: serverName},
		DisableKeepAlives:      true,
		MaxResponseHeaderBytes: maxAnswer,
	}
}

// exchange sends one token request and returns the checked token.
//
// golang.org/x/oauth2/jwt cannot be used for assertions: it puts the scope into
// the assertion, where ZITADEL does not look for it. clientcredentials sends
// any grant, its parameters given.
func (e *endpoint) exchange(ctx context.Context, g grant, began time.Time) (issued, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	guard := &guard{endpoint: e, shown: g.shown, assertion: g.assertion}
	conf := clientcredentials.Config{
		ClientID:       g.clientID,
		TokenURL:       e.url,
		Scopes:         []string{"openid", scopeAPI},
		EndpointParams: g.params,
		// In the form: it spares the double encoding of Basic and the guess at
		// what the server decodes.
		AuthStyle: oauth2.AuthStyleInParams,
	}
	if g.clientSecret.reveal != nil {
		conf.ClientSecret = g.clientSecret.reveal()
	}
	t, err := conf.Token(context.WithValue(ctx, oauth2.HTTPClient, &http.Client{Transport: guard}))
	if err != nil {
		return issued{}, guard.explain(ctx, err)
	}
	i, err := checkAnswer(t, began, e.clock())
	if err != nil {
		return issued{}, guard.refuse(err.Error(), "check that upstream.issuer and upstream.address lead to ZITADEL")
	}
	i.skew = guard.skew
	return i, nil
}

package proxy

import (
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/url"
	"time"
)

// Upstream is the ZITADEL instance: where it is reached and under which name,
// how long it may take, and whether it is asked at all. It belongs to one or
// more [Proxy] values and is safe for concurrent use.
type Upstream struct {
	host    string // Host of every request: the issuer's
	scheme  string
	address string // where to connect
	longest time.Duration

	http1    *pool
	http2    *renewed
	inFlight shares
	circuit  circuit
}

// UpstreamConfig says where ZITADEL is and how long it may take.
type UpstreamConfig struct {
	// Issuer is the public origin of the instance. Its host is the Host of every
	// request and the TLS name that is verified, whatever Address says.
	Issuer *url.URL
	// Address is where to connect instead. If nil, Issuer.
	Address *url.URL
	// TLS is how the upstream is trusted and what proves zproxy to it. If nil, the
	// system's roots and no certificate. Without ServerName it is the issuer's host.
	TLS *tls.Config
	// Resolver finds addresses of names. If nil, the system's way.
	Resolver *net.Resolver
	// Timeouts bound what is waited for.
	Timeouts Timeouts
	// MaxInFlight bounds the requests that wait for the upstream at once; no
	// caller gets more than half of them. If 0, 1000.
	MaxInFlight int
	// CircuitChanged is told when the circuit opens and closes, and why it opened.
	// It must return soon and ask nothing of the Upstream. If nil, nobody is told.
	CircuitChanged func(open bool, why string)
}

// Timeouts bound what is waited for on the way to the upstream. Each that is 0
// has its default.
type Timeouts struct {
	// Connect is for resolving, dialling and the TLS handshake together. Default 5 s.
	Connect time.Duration
	// ResponseHeader is for the beginning of the answer, after the request was
	// sent. Default 60 s.
	ResponseHeader time.Duration
	// Idle is how long an unused connection is kept. It must be less than the
	// upstream's own, or requests meet connections that it is about to close. Default 30 s.
	Idle time.Duration
	// ConnectionAge is how old a connection may become before requests go over a
	// new one, for which the name is resolved anew. Default 5 min.
	ConnectionAge time.Duration
	// Deadline is the longest that a caller's own deadline (grpc-timeout,
	// Connect-Timeout-Ms) is taken for. Default 10 min.
	Deadline time.Duration
}

func (t Timeouts) withDefaults() Timeouts {
	for _, d := range [...]struct {
		to    *time.Duration
		value time.Duration
	}{
		{&t.Connect, 5 * time.Second}, {&t.ResponseHeader, time.Minute}, {&t.Idle, 30 * time.Second},
		{&t.ConnectionAge, 5 * time.Minute}, {&t.Deadline, 10 * time.Minute},
	} {
		if *d.to == 0 {
			*d.to = d.value
		}
	}
	return t
}

const defaultInFlight = 1000

// NewUpstream makes the ways to the upstream: REST and Connect go over HTTP/1.1,
// which costs ZITADEL and zproxy least; gRPC needs HTTP/2. It connects to nothing yet.
func NewUpstream(c UpstreamConfig) (*Upstream, error) {
	if c.Issuer == nil || c.Issuer.Host == "" {
		return nil, errors.New("making upstream: no issuer")
	}
	to := c.Address
	if to == nil {
		to = c.Issuer
	}
	if to.Scheme != "https" && to.Scheme != "http" {
		return nil, errors.New("making upstream: scheme " + to.Scheme + " is neither http nor https")
	}
	if c.Timeouts = c.Timeouts.withDefaults(); c.MaxInFlight == 0 {
		c.MaxInFlight = defaultInFlight
	}
	if c.CircuitChanged == nil {
		c.CircuitChanged = func(bool, string) {}
	}
	u := &Upstream{
		host: c.Issuer.Host, scheme: to.Scheme, address: to.Host, longest: c.Timeouts.Deadline,
		inFlight: shares{most: int64(c.MaxInFlight)},
	}
	u.http1 = newPool(c, to)
	u.http2 = newRenewed(c, to.Scheme)
	u.circuit.changed = c.CircuitChanged
	u.circuit.lastGood.Store(time.Now().UnixNano()) // a grace from the start on
	return u, nil
}

// baseTransport is what both ways have in common. It has no Proxy: where
// credentials go is the configuration's word, not the environment's.
func baseTransport(c UpstreamConfig, protocol string) *http.Transport {
	trust := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.TLS != nil {
		trust = c.TLS.Clone()
	}
	if trust.ServerName == "" {
		trust.ServerName = c.Issuer.Hostname()
	}
	trust.NextProtos = []string{protocol}
	d := newDialer(c.Timeouts.Connect, c.Resolver, trust)
	return &http.Transport{
		DialContext:            d.dial,
		DialTLSContext:         d.dialTLS,
		TLSClientConfig:        trust,
		ResponseHeaderTimeout:  c.Timeouts.ResponseHeader,
		MaxResponseHeaderBytes: 256 << 10,
		IdleConnTimeout:        c.Timeouts.Idle,
		DisableCompression:     true, // bytes pass as they are
		Protocols:              new(http.Protocols),
	}
}

// InFlight is how many requests wait for the upstream now.
func (u *Upstream) InFlight() int { return int(u.inFlight.sum()) }

// CircuitOpen tells whether requests are refused because the upstream does not
// answer any.
func (u *Upstream) CircuitOpen() bool { return u.circuit.open.Load() }

// Close ends the idle connections, and those in use once they become idle.
func (u *Upstream) Close() {
	u.http1.close()
	u.http2.close()
}

// unsentError is why a request was not sent: not a byte of it left.
type unsentError struct{ cause error }

// Error says that nothing was sent, and why.
func (e *unsentError) Error() string { return "nothing was sent: " + e.cause.Error() }

// Unwrap returns the cause.
func (e *unsentError) Unwrap() error { return e.cause }

// unsent tells whether err says that not a byte of the request left.
func unsent(err error) bool {
	var e *unsentError
	return errors.As(err, &e)
}

// rewinder makes a request that was not sent ready to be sent.
type rewinder interface {
	// rewind reports whether out can be sent; its body was touched before.
	rewind(out *http.Request) bool
}

// roundTrip sends out. What failed before a byte of it left, and nothing else,
// is tried once more, over a new connection.
func (u *Upstream) roundTrip(out *http.Request, overHTTP2 bool, r rewinder) (*http.Response, error) {
	if !overHTTP2 {
		return u.http1.roundTrip(out, r)
	}
	res, err := u.http2.current().RoundTrip(out)
	if err != nil && again(out, err) && r.rewind(out) {
		return u.http2.current().RoundTrip(out)
	}
	return res, err
}

// again tells whether to try once more: nothing was sent, and time is left.
func again(out *http.Request, err error) bool {
	return unsent(err) && !isTimeout(err) && out.Context().Err() == nil
}

func isTimeout(err error) bool {
	var e net.Error
	return errors.As(err, &e) && e.Timeout()
}

package proxy

import (
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/url"
	"time"
)

// Upstream is the ZITADEL instance: where it is reached and under which name.
type Upstream struct {
	host    string // Host of every request: the issuer's
	scheme  string
	address string // where to connect

	http1 *http.Transport
	http2 *http.Transport
}

// UpstreamConfig says where ZITADEL is.
type UpstreamConfig struct {
	// Issuer is the public origin of the instance. Its host is the Host of every
	// request and the TLS name that is verified, whatever Address says.
	Issuer *url.URL
	// Address is where to connect instead. If nil, Issuer.
	Address *url.URL
	// TLS is how the upstream is trusted and what proves zproxy to it. If nil, the
	// system's roots and no certificate. Without ServerName it is the issuer's host.
	TLS *tls.Config
}

// NewUpstream makes the two transports: REST and Connect go over HTTP/1.1,
// which costs ZITADEL and zproxy least; gRPC needs HTTP/2.
func NewUpstream(c UpstreamConfig) (*Upstream, error) {
	if c.Issuer == nil || c.Issuer.Host == "" {
		return nil, errors.New("making upstream: no issuer")
	}
	address := c.Address
	if address == nil {
		address = c.Issuer
	}
	u := &Upstream{host: c.Issuer.Host, scheme: address.Scheme, address: address.Host}
	u.http1 = transport(c)
	u.http1.Protocols = new(http.Protocols)
	u.http1.Protocols.SetHTTP1(true)
	u.http2 = transport(c)
	u.http2.Protocols = new(http.Protocols)
	switch address.Scheme {
	case "https":
		u.http2.Protocols.SetHTTP2(true)
	case "http":
		u.http2.Protocols.SetUnencryptedHTTP2(true)
	default:
		return nil, errors.New("making upstream: scheme " + address.Scheme + " is neither http nor https")
	}
	return u, nil
}

func transport(c UpstreamConfig) *http.Transport {
	trust := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.TLS != nil {
		trust = c.TLS.Clone()
	}
	if trust.ServerName == "" {
		trust.ServerName = c.Issuer.Hostname()
	}
	dialer := &net.Dialer{Timeout: 5 * time.Second, KeepAlive: 15 * time.Second}
	return &http.Transport{
		// No Proxy: where credentials go is the configuration's word, not the environment's.
		DialContext:            dialer.DialContext,
		TLSClientConfig:        trust,
		TLSHandshakeTimeout:    5 * time.Second,
		ResponseHeaderTimeout:  60 * time.Second,
		MaxResponseHeaderBytes: 256 << 10,
		// The default of 2 costs a handshake for most requests.
		MaxIdleConnsPerHost: 256,
		IdleConnTimeout:     60 * time.Second,
		DisableCompression:  true, // bytes pass as they are
		HTTP2: &http.HTTP2Config{
			// Finds a dead connection instead of sending calls into it.
			SendPingTimeout: 15 * time.Second,
			PingTimeout:     10 * time.Second,
		},
	}
}

// Close ends the idle connections.
func (u *Upstream) Close() {
	u.http1.CloseIdleConnections()
	u.http2.CloseIdleConnections()
}

package clientcert_test

import (
	"crypto/tls"
	"errors"
	"testing"
	"time"

	"github.com/zproxy/zproxy/authn"
	"github.com/zproxy/zproxy/authn/clientcert"
)

// listsOf are current lists of the world's CAs, with leaves revoked.
func (w *world) listsOf(revoked ...*issued) []byte {
	return pemOf("X509 CRL", newCRL(w.t, w.root, w.root, lasting(-time.Hour, 24*time.Hour)), newCRL(w.t, w.inter, w.inter, lasting(-time.Hour, 24*time.Hour), revoking(revoked...)))
}

func (w *world) revoke(revoked ...*issued) {
	w.t.Helper()
	w.write(w.crl, w.listsOf(revoked...))
	changed, err := w.verifier.Reload()
	if check(w.t, err); !changed {
		w.t.Fatal("the new list was not read")
	}
}

// resumable makes handshakes with one caller that keeps its session.
func (w *world) resumable(version uint16, caller *issued) func(*tls.Config) (tls.ConnectionState, error) {
	sessions := tls.NewLRUClientSessionCache(4)
	return func(server *tls.Config) (tls.ConnectionState, error) {
		w.t.Helper()
		return shake(w.t, server, clientConfig(caller, version, sessions))
	}
}

// expect makes a handshake that must be resumed or not, and pass or be refused.
func expect(t *testing.T, when string, do func() (tls.ConnectionState, error), resumed bool, reason authn.Reason) {
	t.Helper()
	state, err := do()
	refused, _ := clientcert.Refusal(err)
	switch {
	case reason == "" && err != nil, reason != "" && (refused == nil || refused.Reason != reason):
		t.Errorf("%s: %v, want reason %q", when, err, reason)
	case state.DidResume != resumed:
		t.Errorf("%s: resumed %v", when, state.DidResume)
	}
}

func TestRevokedAndExpiredCallersAreNotResumed(t *testing.T) {
	for name, version := range versions {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			caller, lasts := w.inter.newLeaf(t), w.inter.newLeaf(t, between(-time.Hour, time.Minute))
			config := w.start(spiffe, certPEM(w.root), w.listsOf()).ServerConfig(serverBase(t))
			first, second := w.resumable(version, caller), w.resumable(version, lasts)
			do := func(f func(*tls.Config) (tls.ConnectionState, error)) func() (tls.ConnectionState, error) {
				return func() (tls.ConnectionState, error) { return f(config) }
			}
			for i := range 3 {
				expect(t, "while good", do(first), i > 0, "")
				expect(t, "while good", do(second), i > 0, "")
			}
			w.revoke(caller)
			expect(t, "revoked", do(first), false, clientcert.ReasonRevoked)
			expect(t, "another revoked", do(second), false, "")
			expect(t, "under the new list", do(second), true, "")
			w.offset.Store(int64(2 * time.Minute))
			expect(t, "expired", do(second), false, clientcert.ReasonExpired)
			w.offset.Store(int64(48 * time.Hour))
			expect(t, "long after", do(second), false, clientcert.ReasonExpired)
		})
	}
}

// Only VerifyConnection is left of the configuration: crypto/tls resumes as it likes.
func TestResumedHandshakesAreVerified(t *testing.T) {
	for name, version := range versions {
		t.Run(name, func(t *testing.T) {
			for reason, spoil := range map[authn.Reason]func(w *world, caller *issued){
				clientcert.ReasonRevoked: func(w *world, caller *issued) { w.revoke(caller) },
				clientcert.ReasonExpired: func(w *world, _ *issued) { w.offset.Store(int64(61 * time.Minute)) },
				clientcert.ReasonRevocationUnknown: func(w *world, _ *issued) {
					w.write(w.crl, pemOf("X509 CRL", newCRL(t, w.root, w.root)))
					_, _ = w.verifier.Reload()
				},
				clientcert.ReasonUntrusted: func(w *world, _ *issued) { w.write(w.ca, certPEM(newCA(t, nil, "New"))); _, _ = w.verifier.Reload() },
			} {
				w := newWorld(t)
				caller := w.inter.newLeaf(t)
				config := w.start(spiffe, certPEM(w.root), w.listsOf()).ServerConfig(serverBase(t))
				config.GetConfigForClient, config.WrapSession, config.UnwrapSession, config.Time = nil, nil, nil, nil
				shake := w.resumable(version, caller)
				do := func() (tls.ConnectionState, error) { return shake(config) }
				expect(t, "first", do, false, "")
				expect(t, "while good", do, true, "")
				spoil(w, caller)
				expect(t, string(reason), do, true, reason)
			}
		})
	}
}

func TestRenewedCertificateIsNotHeldUpByItsOldSession(t *testing.T) {
	for name, version := range versions {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			caller, renewed := w.inter.newLeaf(t), w.inter.newLeaf(t)
			v := w.start(spiffe, certPEM(w.root), w.listsOf())
			config, sessions := v.ServerConfig(serverBase(t)), tls.NewLRUClientSessionCache(4)
			_, err := shake(t, config, clientConfig(caller, version, sessions))
			check(t, err)
			w.revoke(caller)
			state, err := shake(t, config, clientConfig(renewed, version, sessions))
			check(t, err)
			if id, err := v.Caller(state); state.DidResume || err != nil || id.Thumbprint != clientcert.Thumbprint(renewed.cert) {
				t.Errorf("resumed %v: %+v %v", state.DidResume, id, err)
			}
		})
	}
}

func TestTicketsOfAnotherListenerNameNobody(t *testing.T) {
	for name, version := range versions {
		t.Run(name, func(t *testing.T) {
			here, there := newWorld(t), newWorld(t)
			base := serverBase(t)
			base.SetSessionTicketKeys([][32]byte{{1}})
			caller := there.inter.newLeaf(t)
			own := there.start(spiffe, certPEM(there.root), nil).ServerConfig(base)
			other := here.start(spiffe, certPEM(here.root), nil).ServerConfig(base)
			shake := there.resumable(version, caller)
			expect(t, "first", func() (tls.ConnectionState, error) { return shake(own) }, false, "")
			expect(t, "again", func() (tls.ConnectionState, error) { return shake(own) }, true, "")
			expect(t, "at another listener", func() (tls.ConnectionState, error) { return shake(other) }, false, clientcert.ReasonUntrusted)
		})
	}
}

func TestNoConfigurationOfTheBaseEscapes(t *testing.T) {
	w := newWorld(t)
	refusal := errors.New("refused by the base")
	lax := serverBase(t)
	lax.ClientAuth = tls.NoClientCert
	base := serverBase(t)
	base.MinVersion = tls.VersionTLS10
	base.VerifyConnection = func(tls.ConnectionState) error { return refusal }
	base.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if hello.SupportedVersions[0] == tls.VersionTLS13 {
			return lax, nil
		}
		return nil, nil
	}
	config := w.start(spiffe, certPEM(w.root), nil).ServerConfig(base)
	_, err := shake(t, config, clientConfig(nil, tls.VersionTLS13, nil))
	if refused, ok := clientcert.Refusal(err); !ok || refused.Reason != clientcert.ReasonMissing {
		t.Errorf("the lax configuration let nobody in: %v", err)
	}
	_, err = shake(t, config, clientConfig(w.inter.newLeaf(t), tls.VersionTLS13, nil))
	check(t, err)
	if _, err = shake(t, config, clientConfig(w.inter.newLeaf(t), tls.VersionTLS12, nil)); !errors.Is(err, refusal) {
		t.Errorf("the base was not asked: %v", err)
	}
	if _, err = shake(t, config, clientConfig(w.inter.newLeaf(t), tls.VersionTLS11, nil)); err == nil || errors.Is(err, refusal) {
		t.Errorf("TLS 1.1 passed: %v", err)
	}
	if base.ClientAuth != tls.NoClientCert || base.ClientCAs != nil || lax.VerifyConnection != nil {
		t.Error("the base was changed")
	}
}

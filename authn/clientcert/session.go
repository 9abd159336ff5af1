package clientcert

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"time"
)

// sessionTag begins what a session ticket says of how its caller was verified.
const sessionTag = "zproxy client certificate\x00"

// tickets makes and opens session tickets. A ticket holds while the files are
// those that its certificate was verified by, and to the end of what was
// verified; after that a full handshake asks the caller for its certificate of
// today. Were the resumed handshake refused instead, a caller that has renewed
// its certificate would offer the ticket of the old one again and again: in TLS
// 1.3 it hears of the refusal only when its handshake is done.
//
// This saves callers from refusals and grants nothing: resumed or not,
// VerifyConnection verifies.
type tickets struct {
	v      *Verifier
	keys   *tls.Config // keeps and rotates the tickets' keys
	seal   func(tls.ConnectionState, *tls.SessionState) ([]byte, error)
	unseal func([]byte, tls.ConnectionState) (*tls.SessionState, error)
}

func (v *Verifier) tickets(base *tls.Config) *tickets {
	t := &tickets{v: v, keys: base.Clone(), seal: base.WrapSession, unseal: base.UnwrapSession}
	if t.seal == nil || t.unseal == nil {
		t.seal, t.unseal = t.keys.EncryptTicket, t.keys.DecryptTicket
	}
	return t
}

// wrap is for [tls.Config.WrapSession].
func (t *tickets) wrap(state tls.ConnectionState, session *tls.SessionState) ([]byte, error) {
	s := t.v.current.Load()
	found, err := s.verify(state.PeerCertificates, t.v.config.Clock())
	if err != nil {
		return nil, err
	}
	terms := append([]byte(sessionTag), s.digest[:]...)
	terms = binary.BigEndian.AppendUint64(terms, uint64(found.until.Unix()))
	session.Extra = append(session.Extra, terms)
	return t.seal(state, session)
}

// unwrap is for [tls.Config.UnwrapSession]. No session and no error mean a full handshake.
func (t *tickets) unwrap(identity []byte, state tls.ConnectionState) (*tls.SessionState, error) {
	session, err := t.unseal(identity, state)
	if err != nil || session == nil {
		return nil, err
	}
	digest := t.v.current.Load().digest
	for _, extra := range session.Extra {
		terms, ok := bytes.CutPrefix(extra, []byte(sessionTag))
		if !ok {
			continue
		}
		until, ok := bytes.CutPrefix(terms, digest[:])
		if ok && len(until) == 8 && !t.v.config.Clock().After(time.Unix(int64(binary.BigEndian.Uint64(until)), 0)) {
			return session, nil
		}
	}
	return nil, nil
}

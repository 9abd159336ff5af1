package gateway_test

import (
	"io"
	"path/filepath"
	"testing"
	"time"
)

// An answer that is under way ends within seconds of the list that revokes its
// caller, and so does ZITADEL's request; both leave a record.
func TestAnswersUnderWayEndWhenTheirCallerIsRevoked(t *testing.T) {
	for _, protocol := range []string{"HTTP/1.1", "HTTP/2"} {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			s := startStallerWith(t, "max_in_flight: 10", "stall: 1m")
			var c io.Reader
			if protocol == "HTTP/1.1" {
				c = s.ask(t, "tls", pours)
			} else {
				c, _ = s.ask2(t, "tls", pours, 1<<31-1)
			}
			_, err := io.ReadFull(c, make([]byte, 1<<20))
			check(t, err)
			replace(t, filepath.Join(s.dir, "ca.crl"), s.revoke(2, s.crm.Leaf.SerialNumber))
			begin := time.Now()
			_, _ = io.Copy(io.Discard, c) // to the end of the connection
			t.Logf("ended after %s", time.Since(begin))
			if r := s.cut(t, pours); r.Reason == "allowed" || r.Caller != "spiffe://acme.internal/crm" {
				t.Errorf("record %+v", r)
			}
			for _, r := range records(t, filepath.Join(s.dir, "audit.jsonl")) {
				if r.Reason == "certificate_revoked" && r.Caller == "spiffe://acme.internal/crm" && r.Thumbprint != "" {
					return
				}
			}
			t.Error("no record of the connection")
		})
	}
}

package gateway

import (
	"crypto/sha256"
	"crypto/tls"
	"os"
	"reflect"

	"github.com/zproxy/zproxy/internal/config"
)

// trusted is how the upstream is reached, and under which trust. Two that are
// equal make the same connections.
type trusted struct {
	upstream config.Upstream // without what is asked of requests, and how long they may take
	roots    [sha256.Size]byte
	tls      *tls.Config
	own      *ownCertificate // whose files are looked at; nil without one
}

// newTrusted reads the files that u names.
func newTrusted(u config.Upstream) (*trusted, error) {
	t := &trusted{upstream: u}
	t.upstream.ForwardHeaders, t.upstream.Limit, t.upstream.Timeouts, t.upstream.MaxInFlight = nil, nil, config.Timeouts{}, 0
	if u.CAFile != "" {
		text, err := os.ReadFile(u.CAFile)
		if err == nil { // what is wrong with it is told below
			t.roots = sha256.Sum256(text)
		}
	}
	var err error
	t.tls, t.own, err = upstreamTLS(u)
	return t, err
}

func (t *trusted) equal(o *trusted) bool {
	return t.roots == o.roots && reflect.DeepEqual(t.upstream, o.upstream)
}

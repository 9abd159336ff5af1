package gateway

import (
	"time"

	"github.com/rs/zerolog"

	"github.com/zproxy/zproxy/authn/serviceuser"
)

// noteEvent counts what happened to a service user's token, and tells the operator.
func (g *Gateway) noteEvent(e serviceuser.Event) {
	g.metrics.Token(e)
	logEvent(g.log, e)
}

// noticedSkew is the least difference between this machine's clock and
// ZITADEL's that is worth a word.
const noticedSkew = 2 * time.Second

func logEvent(log zerolog.Logger, e serviceuser.Event) {
	line := log.Info()
	switch e.Kind {
	case serviceuser.FetchFailed, serviceuser.CredentialRefused:
		line = log.Error()
	case serviceuser.TokenDiscarded, serviceuser.CredentialExpiring:
		line = log.Warn()
	}
	line = line.Str("service_user", e.ServiceUser).AnErr("error", e.Err)
	if !e.Expiry.IsZero() {
		line = line.Time("expires", e.Expiry)
	}
	if e.Skew.Abs() > noticedSkew { // no more than zproxy makes up for, and certificates and records still suffer
		line = line.Str("clock_off", (-e.Skew).Round(time.Second).String())
	}
	if !e.Next.IsZero() {
		line = line.Time("next", e.Next)
	}
	line.Msg(string(e.Kind))
}

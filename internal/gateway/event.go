package gateway

import (
	"github.com/rs/zerolog"

	"github.com/zproxy/zproxy/authn/serviceuser"
)

// noteEvent counts what happened to a service user's token, and tells the operator.
func (g *Gateway) noteEvent(e serviceuser.Event) {
	g.metrics.Token(e)
	logEvent(g.log, e)
}

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
	if !e.Next.IsZero() {
		line = line.Time("next", e.Next)
	}
	line.Msg(string(e.Kind))
}

package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"

	"github.com/zproxy/zproxy/authn/serviceuser"
	"github.com/zproxy/zproxy/internal/config"
	"github.com/zproxy/zproxy/internal/zitadel"
	"github.com/zproxy/zproxy/policy"
	"github.com/zproxy/zproxy/policy/operation"
)

// checker asks ZITADEL.
type checker struct {
	cfg       *config.Config
	catalogue *operation.Catalogue
	rules     *policy.Policy
	ask       *zitadel.Client
	token     *serviceuser.Token // of some service user; nil while none has worked
}

// discovery compares the configured issuer with the one that ZITADEL says it is.
func (c *checker) discovery(ctx context.Context) Finding {
	about := "upstream"
	issuer, err := c.ask.Issuer(ctx)
	want := c.cfg.Upstream.Issuer.String()
	var status *zitadel.StatusError
	switch {
	case errors.As(err, &status) && status.Status == http.StatusNotFound:
		return Finding{Level: Fault, About: about, Message: "zitadel has no instance under " + c.cfg.Upstream.Issuer.Host + "; upstream.issuer must be a domain of the instance"}
	case errors.As(err, &status):
		return Finding{Level: Fault, About: about, Message: fmt.Sprintf("zitadel answers HTTP %d to discovery; is upstream.address really ZITADEL?", status.Status)}
	case err != nil:
		return Finding{Level: Fault, About: about, Message: err.Error() + "; check upstream.issuer, upstream.address and the network"}
	case issuer != want:
		return Finding{Level: Fault, About: about, Message: fmt.Sprintf("zitadel says that its issuer is %q and not %q; put that into upstream.issuer", issuer, want)}
	}
	return Finding{Level: OK, About: about, Message: "it is the instance " + want}
}

// try gets a token and calls what works with any valid one.
func (c *checker) try(ctx context.Context, u config.ServiceUser, s *serviceuser.Source) []Finding {
	about := "service user " + u.Name
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { _ = s.Run(ctx) }) // its errors come out of Next
	defer func() { cancel(); running.Wait() }()
	token, err := s.Next(ctx, nil)
	if err != nil {
		var unavailable *serviceuser.UnavailableError
		if errors.As(err, &unavailable) && errors.Unwrap(unavailable) != nil {
			err = errors.Unwrap(unavailable) // with the details that callers do not get
		}
		return []Finding{{Level: Fault, About: about, Message: err.Error()}}
	}
	if u.SystemUser != nil {
		return []Finding{{Level: OK, About: about, Message: "its tokens can be signed; system users have no call that tries them without effect"}}
	}
	me, err := c.ask.Me(ctx, token.Authorization)
	var status *zitadel.StatusError
	switch {
	case errors.As(err, &status) && status.Status == http.StatusUnauthorized:
		return []Finding{{Level: Fault, About: about, Message: "zitadel refuses its token; is it of this instance, and the user neither locked nor deactivated?"}}
	case err != nil:
		return []Finding{{Level: Fault, About: about, Message: err.Error()}}
	case s.UserID() != "" && s.UserID() != me.ID:
		return []Finding{{Level: Fault, About: about, Message: fmt.Sprintf("its user_id is %s, and its token is of user %s; correct user_id", s.UserID(), me.ID)}}
	}
	c.token = token
	return append([]Finding{{Level: OK, About: about, Message: "it works, as " + me.UserName}}, c.roles(ctx, u.Name, token)...)
}

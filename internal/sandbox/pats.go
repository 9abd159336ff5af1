package sandbox

import (
	"crypto/rand"
	"time"
)

// pat is a personal access token.
type pat struct {
	id, user        string
	created, expiry time.Time
}

func (s *state) addPAT(userID string, expiry time.Time) (token, id string) {
	token, id = rand.Text()+rand.Text(), s.id()
	s.pats[token] = pat{id: id, user: userID, created: time.Now(), expiry: expiry}
	return token, id
}

// AddPATUntil gives a user a personal access token that ends then.
func (s *Sandbox) AddPATUntil(userID string, expiry time.Time) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	token, _ := s.state.addPAT(userID, expiry)
	return token
}

// addPAT needs no role where the user is the token's own: the reason why
// nothing may be aimed at a gateway's service user.
func addPAT(c *call, in []byte) (any, *problem) {
	r, p := read[struct{ ExpirationDate *time.Time }](in)
	if p == nil {
		p = inFuture("AddPersonalAccessTokenRequest.ExpirationDate", r.ExpirationDate)
	}
	if p != nil {
		return nil, p
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	u, p := own(c, in)
	if p != nil {
		return nil, p
	}
	token, id := c.state.addPAT(u.id, *r.ExpirationDate)
	return object{"creationDate": now(), "tokenId": id, "token": token}, nil
}

// listPATs shows no token, and ended ones too.
func listPATs(c *call, in []byte) (any, *problem) {
	c.mu.Lock()
	defer c.mu.Unlock()
	held := func(u *user) (all []pat) {
		for _, p := range c.state.pats {
			if p.user == u.id {
				all = append(all, p)
			}
		}
		return all
	}
	users, total, p := visible(c, in, func(u *user) int { return len(held(u)) })
	if p != nil {
		return nil, p
	}
	result := []any{}
	for _, u := range users {
		for _, p := range held(u) {
			result = append(result, credential(u, p.id, p.created, p.expiry))
		}
	}
	return object{"result": result, "pagination": object{"totalResult": total, "appliedLimit": 100}}, nil
}

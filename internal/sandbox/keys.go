package sandbox

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"slices"
	"time"
)

// machineKey is the public half of a machine user's key.
type machineKey struct {
	public          *rsa.PublicKey
	created, expiry time.Time
}

// Keys are the ids of a user's keys, sorted.
func (s *Sandbox) Keys(userID string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var ids []string
	if u := s.state.user(userID); u != nil {
		for id := range u.keys {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// own finds the user whose credentials a call is about. A user needs no role
// for its own; that of another who has none is not found rather than refused.
func own(c *call, in []byte) (*user, *problem) {
	u, p := target(c, in, "ORG_OWNER", "ORG_USER_MANAGER")
	if u != nil && u == c.user {
		p = nil
	}
	return u, p
}

// inFuture checks an expirationDate, which v2 wants.
func inFuture(field string, at *time.Time) *problem {
	switch {
	case at == nil:
		return &problem{3, "", "invalid " + field + ": value is required"}
	case !at.After(time.Now()):
		return &problem{3, "DOMAIN-dv3t5", "Errors.AuthNKey.ExpireBeforeNow"}
	}
	return nil
}

// addKey makes a key of a public key that the request brings. Of keys whose
// private half the server makes, nothing is needed here.
func addKey(c *call, in []byte) (any, *problem) {
	r, p := read[struct {
		ExpirationDate *time.Time
		PublicKey      []byte
	}](in)
	if p == nil {
		p = inFuture("AddKeyRequest.ExpirationDate", r.ExpirationDate)
	}
	if p != nil {
		return nil, p
	}
	public := parsePublic(r.PublicKey)
	if public == nil {
		return nil, &problem{3, "COMMAND-5F3h1", "Errors.Project.App.AuthNKey.InvalidPublicKey"}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	u, p := own(c, in)
	if p != nil {
		return nil, p
	}
	id, created := c.state.id(), time.Now()
	u.keys[id] = machineKey{public: public, created: created, expiry: r.ExpirationDate.Truncate(time.Microsecond)}
	return object{"creationDate": created.UTC().Format(time.RFC3339Nano), "keyId": id}, nil
}

// parsePublic reads PKIX in PEM; nil for anything else.
func parsePublic(text []byte) *rsa.PublicKey {
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "PUBLIC KEY" {
		return nil
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil
	}
	public, _ := key.(*rsa.PublicKey) // others are taken by ZITADEL and good for nothing
	return public
}

// credentialQuery is a filter of lists of keys and of personal access tokens.
type credentialQuery struct{ UserIDFilter *struct{ ID string } }

func (q credentialQuery) excludes(u *user) bool {
	return q.UserIDFilter != nil && q.UserIDFilter.ID != u.id
}

// visible are the users whose credentials a list shows: the caller's own, and
// with a role those of others. The total counts the others all the same.
func visible(c *call, in []byte, count func(*user) int) (users []*user, total int, p *problem) {
	r, p := read[struct{ Filters []credentialQuery }](in)
	if p != nil {
		return nil, 0, p
	}
	all := c.needs(readers()...) == nil
	for _, u := range c.state.users {
		if slices.ContainsFunc(r.Filters, func(q credentialQuery) bool { return q.excludes(u) }) {
			continue
		}
		total += count(u)
		if all || u == c.user {
			users = append(users, u)
		}
	}
	return users, total, nil
}

// listKeys shows neither the public key nor its thumbprint, and ended keys too.
func listKeys(c *call, in []byte) (any, *problem) {
	c.mu.Lock()
	defer c.mu.Unlock()
	users, total, p := visible(c, in, func(u *user) int { return len(u.keys) })
	if p != nil {
		return nil, p
	}
	result := []any{}
	for _, u := range users {
		for id, k := range u.keys {
			result = append(result, credential(u, id, k.created, k.expiry))
		}
	}
	return object{"result": result, "pagination": object{"totalResult": total, "appliedLimit": 100}}, nil
}

// credential is a key or a personal access token as lists have it.
func credential(u *user, id string, created, expiry time.Time) object {
	at := func(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }
	return object{"id": id, "userId": u.id, "organizationId": u.organization, "creationDate": at(created), "changeDate": at(created), "expirationDate": at(expiry)}
}

// removeKey ends a key. Tokens that it brought stay valid.
func removeKey(c *call, in []byte) (any, *problem) {
	r, p := read[struct{ KeyID string }](in)
	if p != nil {
		return nil, p
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	u, p := own(c, in)
	if p != nil {
		return nil, p
	}
	if _, ok := u.keys[r.KeyID]; !ok {
		return nil, &problem{5, "COMMAND-4m77G", "Machine key not found"}
	}
	delete(u.keys, r.KeyID)
	return object{"deletionDate": now()}, nil
}

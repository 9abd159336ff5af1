package sandbox

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Organization is the id of the one organization that the sandbox begins with.
const Organization = "287345091734012345"

// user is a person or a machine of the instance.
type user struct {
	id, name, first, last string
	machine               bool
	organization          string
	memberships           []membership
	locked                bool
	keys                  map[string]machineKey
	secret                string
	authorizations        []string
	sessions              []string
}

// state is what the instance knows.
type state struct {
	nextID        uint64
	users         []*user
	organizations []organization
	projects      []project
	pats          map[string]pat    // by token
	tokens        map[string]issued // token id → what was issued
	system        map[string]*rsa.PublicKey
}

type organization struct{ id, name string }

type project struct{ id, name, organization string }

// issued is an access token.
type issued struct {
	user   string
	scopes []string
	expiry time.Time
}

func newState() state {
	s := state{
		nextID:        287345091734020000,
		organizations: []organization{{Organization, "ACME"}},
		pats:          make(map[string]pat), tokens: make(map[string]issued), system: make(map[string]*rsa.PublicKey),
	}
	for _, name := range [...][2]string{{"Alice", "Archer"}, {"Bob", "Baker"}, {"Carol", "Cooper"}} {
		s.users = append(s.users, &user{
			id: s.id(), name: strings.ToLower(name[0]) + "@acme.example", first: name[0], last: name[1],
			organization: Organization, keys: make(map[string]machineKey),
		})
	}
	return s
}

// id is the next snowflake-like id.
func (s *state) id() string {
	s.nextID += 7
	return strconv.FormatUint(s.nextID, 10)
}

func (s *state) hasOrganization(id string) bool {
	return slices.ContainsFunc(s.organizations, func(o organization) bool { return o.id == id })
}

func (s *state) user(id string) *user {
	for _, u := range s.users {
		if u.id == id {
			return u
		}
	}
	return nil
}

func (s *state) userNamed(name string) *user {
	for _, u := range s.users {
		if u.name == name {
			return u
		}
	}
	return nil
}

// Users are the ids of all users by user name.
func (s *Sandbox) Users() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make(map[string]string)
	for _, u := range s.state.users {
		all[u.name] = u.id
	}
	return all
}

// AddMachineUser adds a machine user with manager roles, such as IAM_OWNER or
// ORG_USER_MANAGER, and returns its id.
func (s *Sandbox) AddMachineUser(name string, roles ...string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := &user{id: s.state.id(), name: name, machine: true, organization: Organization, memberships: standing(roles), keys: make(map[string]machineKey)}
	s.state.users = append(s.state.users, u)
	return u.id
}

// KeyFile makes a key for a machine user and returns ZITADEL's key file.
func (s *Sandbox) KeyFile(userID string) ([]byte, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.state.user(userID)
	if u == nil {
		return nil, fmt.Errorf("making key file: no user %s", userID)
	}
	keyID := s.state.id()
	created := time.Now()
	expiry := created.AddDate(1, 0, 0).UTC().Truncate(time.Second)
	u.keys[keyID] = machineKey{public: &key.PublicKey, created: created, expiry: expiry}
	block := &pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}
	return json.Marshal(map[string]string{
		"type": "serviceaccount", "keyId": keyID, "key": string(pem.EncodeToMemory(block)), "userId": userID,
		"expirationDate": expiry.Format(time.RFC3339),
	})
}

// AddSecret gives a machine user a client secret; its client id is its user name.
func (s *Sandbox) AddSecret(userID string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	secret := rand.Text()
	s.state.user(userID).secret = secret
	return secret
}

// AddPAT gives a user a personal access token.
func (s *Sandbox) AddPAT(userID string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	token, _ := s.state.addPAT(userID, time.Now().AddDate(1, 0, 0))
	return token
}

// AddSystemUser registers a System API user by its public key.
func (s *Sandbox) AddSystemUser(name string, key *rsa.PublicKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state.system[name] = key
}

// RevokeTokens ends all access tokens and PATs of a user, as locking it does.
func (s *Sandbox) RevokeTokens(userID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state.revoke(userID)
}

func (s *state) revoke(userID string) {
	for id, t := range s.tokens {
		if t.user == userID {
			delete(s.tokens, id)
		}
	}
	for token, p := range s.pats {
		if p.user == userID {
			delete(s.pats, token)
		}
	}
}

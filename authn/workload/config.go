package workload

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/zproxy/zproxy/authn"
)

// maxConfig is the longest issuer, audience or address, in bytes.
const maxConfig = 2048

func (c *Config) check() error {
	if _, err := authn.JWT(c.Name, "subject"); err != nil { // the name is a part of callers
		return err
	}
	switch {
	case c.Issuer == "" || len(c.Issuer) > maxConfig:
		return fmt.Errorf("issuer has %d bytes; give 1 to %d, as in the tokens' iss", len(c.Issuer), maxConfig)
	case c.Audience == "" || len(c.Audience) > maxConfig:
		return fmt.Errorf("audience has %d bytes; give 1 to %d, as in the tokens' aud", len(c.Audience), maxConfig)
	case c.JWKSURL != "" && c.JWKSFile != "":
		return errors.New("jwks_url and jwks_file are both set; keep one")
	case c.JWKSFile != "" && (c.CAFile != "" || c.BearerTokenFile != ""):
		return errors.New("ca_file and bearer_token_file have no meaning with jwks_file, which is not fetched; remove them")
	case c.JWKSURL != "":
		if _, err := checkAddress(c.JWKSURL); err != nil {
			return fmt.Errorf("jwks_url %.200q: %w", redacted(c.JWKSURL), err)
		}
	case c.JWKSFile == "":
		u, err := checkAddress(c.Issuer)
		if err == nil && (u.RawQuery != "" || u.ForceQuery) {
			err = errors.New("it has a query")
		}
		if err != nil {
			return fmt.Errorf("issuer %.200q cannot be asked for its keys: %w; or set jwks_url or jwks_file", redacted(c.Issuer), err)
		}
	}
	return nil
}

// checkAddress wants https: whoever can change a key set on its way is every caller.
func checkAddress(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil || len(s) > maxConfig:
		return nil, errors.New("it is no address; write it as https://host/path")
	case u.Scheme != "https":
		return nil, errors.New("its scheme is not https; write it as https://host/path")
	case u.Hostname() == "" || u.Opaque != "":
		return nil, errors.New("it has no host; write it as https://host/path")
	case u.User != nil:
		return nil, errors.New("it has user information, which must not stand in an address; use bearer_token_file")
	case strings.Contains(s, "#"):
		return nil, errors.New("it has a fragment; remove it")
	}
	return u, nil
}

// redacted is an address without the password that may stand in it by mistake.
func redacted(s string) string {
	if u, err := url.Parse(s); err == nil {
		return u.Redacted()
	}
	return "(unreadable)"
}

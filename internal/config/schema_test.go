package config_test

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/zproxy/zproxy/internal/config"
)

func TestSchemaAcceptsTheExamples(t *testing.T) {
	s := readSchema(t)
	for _, file := range examples(t) {
		v, err := decoded(t, file)
		if err != nil {
			t.Fatal(err)
		}
		if errs := s.errors(s, v, ""); len(errs) > 0 {
			t.Errorf("%s: %s", file, strings.Join(errs, "\n"))
		}
	}
}

// beyondSchema are the faults that a schema cannot say: of two keys together,
// of names that other parts must have, of lists of forbidden values, and of
// YAML's forms. Everything else an editor finds.
const beyondSchema = `
admin-address-taken admin-beyond-loopback admin-pprof-beyond-loopback
callers-client-certificate callers-client-certificate-allow-from callers-client-certificate-hosts
callers-client-certificate-dns-by-bundles callers-client-certificate-without-ca
callers-bearer-jwt-hosts callers-bearer-jwt-issuer-a-name callers-bearer-jwt-issuer-in-clear callers-bearer-jwt-issuer-twice
callers-bearer-jwt-jwks-file-and-ca callers-bearer-jwt-jwks-file-and-token callers-bearer-jwt-jwks-two-ways callers-bearer-jwt-jwks-with-user
callers-bearer-jwt-plain callers-bearer-jwt-two-meanings
callers-unix-on-tcp callers-unix-same-uid
forward-header-authorization forward-header-browser forward-header-cookie forward-header-framing forward-header-grpc-metadata
forward-header-hop-by-hop forward-header-host-override forward-header-method-override forward-header-proxy forward-header-tenant
forward-header-too-wide
issuer-plain-beyond-loopback issuer-port-implied issuer-port-out-of-range
limit-rate-zero limits-header-too-large
listener-address-port-out-of-range listener-address-twice listener-allow-from-mapped listener-allow-from-stray-bits
listener-tls-empty listener-tls-spiffe-and-files listener-tls-spiffe-unclean listener-tls-open listener-tls-plaintext listener-tls-two-ways listener-tls-unix listener-tls-without-key
listener-host-with-port listener-mode-on-tcp listener-name-twice listener-open-beyond-loopback listener-open-without-allow-from
rotate-at-once rotate-keys-pile-up rule-as-misspelled rule-as-unknown rule-name-twice rule-until test-about-both test-about-nothing test-request
service-user-expires service-user-name-twice socket-allow-from socket-hosts socket-mode-beyond-bits
utf8-broken yaml-anchor yaml-directive yaml-merge-key yaml-second-document yaml-several-lines-of-text yaml-tag
`

func TestSchemaRefusesWhatItCanSay(t *testing.T) {
	s := readSchema(t)
	accepted := strings.Fields(beyondSchema)
	for _, file := range badFiles(t) {
		name := strings.TrimSuffix(filepath.Base(file), ".yaml")
		v, err := decoded(t, file)
		refused := err != nil || len(s.errors(s, v, "")) > 0
		if refused == slices.Contains(accepted, name) {
			t.Errorf("%s: refused by the schema: %v, listed as beyond it: %v", name, refused, !refused)
		}
	}
}

// Each object of the schema has the keys, and requires the keys, that the
// decoder's own faults list for the same place.
func TestSchemaAndDecoderKnowTheSameKeys(t *testing.T) {
	s := readSchema(t)
	objects := 0
	s.eachObject(s, "%", func(document string, object schema) {
		objects++
		_, err := config.Parse("x.yaml", []byte(strings.ReplaceAll(document, "%", "{zzzzzzzzzzzz: 1}")))
		var faults config.Faults
		if !errors.As(err, &faults) {
			t.Fatalf("%s: %v", document, err)
		}
		var known, required []string
		place := "" // the path that the faults of this object begin with
		for _, f := range faults {
			if before, ok := strings.CutSuffix(f.Message, "unknown key zzzzzzzzzzzz"); ok {
				place = before
				_, list, _ := strings.Cut(f.Fix, "the keys here are ")
				known = strings.Split(list, ", ")
			}
		}
		for _, f := range faults {
			key, ok := strings.CutPrefix(f.Message, place+"the key ")
			if key, missing := strings.CutSuffix(key, " is missing"); ok && missing {
				required = append(required, key)
			}
		}
		if want := slices.Sorted(maps.Keys(object.properties())); !slices.Equal(known, want) {
			t.Errorf("%s: the decoder knows %v, the schema %v", document, known, want)
		}
		if want := object.required(); !slices.Equal(required, want) {
			t.Errorf("%s: the decoder requires %v, the schema %v", document, required, want)
		}
	})
	if objects < 14 {
		t.Errorf("%d objects", objects)
	}
}

// eachObject walks s; document is a configuration in flow style with % where
// the object stands.
func (root schema) eachObject(s schema, document string, visit func(string, schema)) {
	s = root.resolve(s)
	put := func(inner string) string { return strings.Replace(document, "%", inner, 1) }
	if len(s.properties()) > 0 {
		visit(document, s)
	}
	for key, property := range s.properties() {
		root.eachObject(property, put("{"+key+": %}"), visit)
	}
	if items, ok := s["items"].(map[string]any); ok {
		root.eachObject(items, put("[%]"), visit)
	}
	if each, ok := s["additionalProperties"].(map[string]any); ok {
		root.eachObject(each, put("{any: %}"), visit)
	}
}

func decoded(t *testing.T, file string) (any, error) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var v any
	err = yaml.Unmarshal(text, &v)
	return v, err
}

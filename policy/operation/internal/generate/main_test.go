package main

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"
)

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestRegeneratingGivesTheCommittedTable(t *testing.T) {
	hazards, err := parseHazards(read(t, "../../hazards.txt"))
	if err != nil {
		t.Fatal(err)
	}
	table, err := render(services(), hazards)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(table, []byte(read(t, "../../table.txt"))) {
		t.Error("table.txt is out of date; run go generate ./policy/operation and commit it")
	}
}

func TestAMisspelledHazardIsAnError(t *testing.T) {
	if _, err := render(services(), map[string][]string{"zitadel.user.v2.UserService/AddKeyy": {"mints-credential"}}); err == nil {
		t.Error("an operation that does not exist was classified")
	}
	if _, err := parseHazards("\tzitadel.user.v2.UserService/AddKey"); err == nil {
		t.Error("an operation without a class was read")
	}
}

// TestEveryAnswerWithACredentialIsClassified walks the response of every RPC
// for fields named like a credential. What carries one has a hazard class, or
// stands in testdata/harmless.txt with the reason why it is none.
func TestEveryAnswerWithACredentialIsClassified(t *testing.T) {
	hazards, err := parseHazards(read(t, "../../hazards.txt"))
	if err != nil {
		t.Fatal(err)
	}
	harmless := make(map[string]string)
	for line := range strings.SplitSeq(strings.TrimSpace(read(t, "testdata/harmless.txt")), "\n") {
		if strings.HasPrefix(line, "#") {
			continue
		}
		field, reason, ok := strings.Cut(line, "\t")
		if !ok || strings.TrimSpace(reason) == "" {
			t.Errorf("harmless.txt: %q gives no reason", line)
		}
		harmless[field] = reason
	}
	used := make(map[string]bool)
	for _, s := range services() {
		for i := range s.Methods().Len() {
			m := s.Methods().Get(i)
			name := string(s.FullName()) + "/" + string(m.Name())
			if len(withOwnUser(string(s.FullName()), hazards[name])) > 0 {
				continue
			}
			for _, field := range credentials(m.Output(), make(map[protoreflect.FullName]bool)) {
				used[field] = true
				if harmless[field] == "" {
					t.Errorf("%s answers with %s: classify it in hazards.txt, or give the reason in harmless.txt", name, field)
				}
			}
		}
	}
	for field := range harmless {
		if !used[field] {
			t.Errorf("harmless.txt: no unclassified answer has %s any more; remove it", field)
		}
	}
}

// credentials are the full names of the fields in m that are named like one.
func credentials(m protoreflect.MessageDescriptor, seen map[protoreflect.FullName]bool) []string {
	if seen[m.FullName()] {
		return nil
	}
	seen[m.FullName()] = true
	var found []string
	for i := range m.Fields().Len() {
		f := m.Fields().Get(i)
		text := f.Kind() == protoreflect.StringKind || f.Kind() == protoreflect.BytesKind
		if text && namedLikeCredential(string(f.Name())) {
			found = append(found, string(f.FullName()))
		}
		if f.Message() != nil {
			found = append(found, credentials(f.Message(), seen)...)
		}
	}
	return found
}

func namedLikeCredential(name string) bool {
	return slices.ContainsFunc([]string{"token", "secret", "key", "password", "hash", "code", "credential", "assertion", "totp", "otp", "challenge"},
		func(part string) bool { return strings.Contains(name, part) })
}

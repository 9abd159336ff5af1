package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const operations = `{"role_levels": {"B": "project", "A": "organization"}, "roles": {"A": ["y.read", "x.read", "y.read"], "B": []}, "operations": {
	"s.S/Two": {"need": "permission", "permission": "x.write", "also": ["y.write"], "or": ["z"], "levels": ["instance", "organization"], "self": true, "org_context": true,
		"bound_to_target": false, "no_role": "own-only", "basis": "measured", "roles_yes": ["A"], "check_field": "Id", "note": "why"},
	"s.S/One": {"need": "token", "levels": [], "no_role": "yes", "basis": "source", "roles_yes": "any"},
	"s.S/Three": {"need": "permission", "permission": "x.write", "levels": ["system"], "no_role": "no", "basis": "measured", "roles_yes": []},
	"s.S/Four": {"need": "variants", "permission": null, "levels": [], "no_role": "no", "basis": "declared", "variants": [{"when": "so", "permission": "x.write", "levels": ["project"]}]}
}}`

const converted = "role\tA\torganization\tx.read,y.read\nrole\tB\tproject\t\nset\t\nset\tA\nnote\twhy\n\ns.S\n" +
	"\tFour\tv\t\t\t\td\n\t\tso\tp\tx.write\tp\n\tOne\tt\t\t\ty\ts\n\tThree\tp\tx.write\ts\t\tm\t0\n\tTwo\tp\tx.write,y.write|z\tio\tsotw\tm\t1\t0\tId\n"

func convert(t *testing.T, text string) (string, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "measurements.json")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	err := run([]string{file}, &out)
	return out.String(), err
}

func TestTheSameMeasurementsAlwaysGiveTheSameTable(t *testing.T) {
	for range 20 {
		got, err := convert(t, operations)
		if err != nil || got != head+converted {
			t.Fatalf("got %q, %v", strings.TrimPrefix(got, head), err)
		}
	}
}

// A word without a letter would otherwise be lost, and the operation would look
// as if it needed less than it does.
func TestAnUnknownWordIsAnErrorAndWritesNothing(t *testing.T) {
	for what, c := range map[string][2]string{
		"need":             {`"need": "token"`, `"need": "luck"`},
		"basis":            {`"basis": "source"`, `"basis": "rumour"`},
		"no_role":          {`"no_role": "yes"`, `"no_role": "perhaps"`},
		"level":            {`["instance", "organization"]`, `["planet"]`},
		"level of a case":  {`["project"]`, `["planet"]`},
		"level of a role":  {`"B": "project"`, `"B": "planet"`},
		"list that is one": {`"roles_yes": "any"`, `"roles_yes": "some"`},
		"JSON":             {`}}`, ``},
	} {
		if got, err := convert(t, strings.ReplaceAll(operations, c[0], c[1])); err == nil || got != "" {
			t.Errorf("%s: wrote %q, %v", what, got, err)
		}
	}
	if err := run(nil, nil); err == nil {
		t.Error("no file is no error")
	}
	if err := run([]string{filepath.Join(t.TempDir(), "none.json")}, nil); err == nil {
		t.Error("a missing file is no error")
	}
}

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestConditionsTruthsAndErrorsAreTurnedRound(t *testing.T) {
	text := "package p\nimport \"fmt\"\nfunc f(a, b bool, err error) (bool, error) {\n\tif a { return true, nil }\n\tif err != nil { return false, err }\n" +
		"\tswitch {\n\tcase b: return a && b, fmt.Errorf(\"x\")\n\t}\n\tswitch a {\n\tcase b:\n\t}\n\treturn a, nil\n}\n"
	all, err := mutantsOf("p.go", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range all {
		got = append(got, m.was+" > "+m.now)
	}
	want := `a > !(a); true > false; false > true; b > !(b); a && b > !(a && b); fmt.Errorf("x") > nil`
	if text := strings.Join(got, "; "); text != want {
		t.Errorf("got %s\nwant %s", text, want)
	}
}

func TestSurvivorsAreTold(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":    "module m\n\ngo 1.26\n",
		"m.go":      "package m\n\nfunc Seen(a int) bool { return a > 1 }\n\nfunc Unseen(a int) bool { return a > 1 }\n",
		"m_test.go": "package m\n\nimport \"testing\"\n\nfunc TestSeen(t *testing.T) {\n\tif !Seen(2) {\n\t\tt.Fatal()\n\t}\n}\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	survivors, total, err := run([]string{"./..."}, []string{"m.go"})
	if err != nil || survivors != 1 || total != 2 {
		t.Errorf("%d of %d survive, %v", survivors, total, err)
	}
}

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestConditionsTruthsAndErrorsAreTurnedRound(t *testing.T) {
	text := "package p\nimport \"fmt\"\nfunc f(a, b bool, err error) (bool, error) {\n\tif a { return true, nil }\n\tif err != nil { return !b, err }\n" +
		"\tswitch {\n\tcase b: return a && b, fmt.Errorf(\"x\")\n\t}\n\tif err == nil { return a && b, nil }\n\tswitch a {\n\tcase b:\n\t}\n" +
		"\tif func() bool { return false }() { return a, nil }\n\treturn a, nil\n}\nfunc g() (bool, string) { return true, fmt.Sprint() }\n" +
		"func h() (bool, error) { return true, fail() }\n"
	pkg, all, err := mutantsOf("p.go", []byte(text))
	if err != nil || pkg != "p" {
		t.Fatal(pkg, err)
	}
	want := strings.NewReplacer(
		"{ return true, fmt.Sprint() }", "{ return (true) != (mutantNumber == 12), fmt.Sprint() }", "return true, fail()", "return true, fail()",
		"if a {", "if (a) != (mutantNumber == 5) {", "return true", "return (true) != (mutantNumber == 6)",
		"case b: ", "case (b) != (mutantNumber == 7): ", `fmt.Errorf("x")`, `mutantError(8, fmt.Errorf("x"))`, "return a && b, nil", "return (a && b) != (mutantNumber == 9), nil",
		"if func() bool { return false }() {", "if (func() bool { return (false) != (mutantNumber == 11) }()) != (mutantNumber == 10) {",
	).Replace(text)
	if got := switched([]byte(text), all, 5); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

func TestSurvivorsAreTold(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod": "module m\n\ngo 1.26\n",
		"m.go": "package m\n\nimport \"errors\"\n\nfunc Seen(a int) bool { return a > 1 }\n\nfunc Unseen(a int) bool { return a > 1 }\n\n" +
			"func Fails() error { return errors.New(\"x\") }\n",
		"m_test.go": "package m\n\nimport \"testing\"\n\nfunc TestSeen(t *testing.T) {\n\tif !Seen(2) || Fails() == nil {\n\t\tt.Fatal()\n\t}\n}\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	survivors, total, err := run([]string{"./..."}, []string{"m.go"})
	if err != nil || survivors != 1 || total != 3 {
		t.Errorf("%d of %d survive, %v", survivors, total, err)
	}
}

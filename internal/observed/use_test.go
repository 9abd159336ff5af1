package observed_test

import (
	"bytes"
	"compress/gzip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/zproxy/zproxy/internal/audit"
	"github.com/zproxy/zproxy/internal/observed"
)

const changesMe = "zitadel.auth.v1.AuthService/UpdateMyUserName"

func TestWhatNoRuleShallAllowIsLeftOut(t *testing.T) {
	u := use(t, t.TempDir(), observed.Filter{},
		denied("unix:crm", users+"LockUser", "own_service_user"), denied("unix:crm", users+"LockUser", "own_service_user"),
		denied("unix:crm", users+"CreateUser", "organization_not_allowed"), denied("", users+"CreateUser", "unknown_caller"),
		denied("unix:crm", "", "not_canonical"), denied("unix:crm", "zitadel.user.v9.UserService/Fly", "no_rule"), denied("nobody", users+"LockUser", "no_rule"),
		allowed("unix:crm", changesMe, "reader"), denied("unix:crm", changesMe, "no_rule"),
		allowed("unix:crm", users+"ListUsers", ""), allowed("unix:crm", users+"ListUsers", "reader\n    hazards: [bulk]"), allowed("unix:crm", users+"ListUsers", "a\x00b"))
	if got := u.Rules("reader").Rules(); len(got) != 0 {
		t.Errorf("proposed %+v", got)
	}
	var texts []string
	total := 0
	for _, l := range u.LeftOut() {
		texts = append(texts, l.Reason)
		total += l.Count
	}
	want := []string{
		"it was refused for what it asked (own_service_user)", "the caller was not established",
		"the record has no whole caller; names of more than 256 bytes are cut in records",
		"it was allowed, and the record has no name of a service user", "it was refused for what it asked (organization_not_allowed)",
		"the request was no operation (not_canonical)", "this build does not know zitadel.user.v9.UserService/Fly",
		"it would change the service user itself; name it in a rule with as: caller",
	}
	if total != 12 || u.Records() != 12 || len(texts) != len(want) || texts[0] != "it was allowed, and the record has no name of a service user" {
		t.Errorf("left out %q, %d", texts, total)
	}
	for _, w := range want {
		if !slices.Contains(texts, w) {
			t.Errorf("%q is not told of in %q", w, texts)
		}
	}
}

func TestFiltersChooseRecords(t *testing.T) {
	late := allowed("unix:crm", users+"LockUser", "writer")
	late.Time = day.Add(time.Hour)
	intent := allowed("unix:crm", users+"UnlockUser", "writer")
	intent.Kind = audit.Intent
	records := []audit.Record{allowed("unix:crm", users+"ListUsers", "reader"), denied("unix:crm", users+"GetUserByID", "no_rule"), late, intent, allowed("unix:erp", users+"ListUsers", "reader")}
	for name, c := range map[string]struct {
		filter observed.Filter
		want   string
	}{
		"all":     {observed.Filter{}, "GetUserByID ListUsers ListUsers LockUser"},
		"allowed": {observed.Filter{Allowed: true}, "ListUsers ListUsers LockUser"},
		"refused": {observed.Filter{Refused: true}, "GetUserByID"},
		"both":    {observed.Filter{Allowed: true, Refused: true}, "GetUserByID ListUsers ListUsers LockUser"},
		"since":   {observed.Filter{Since: day.Add(time.Minute)}, "LockUser"},
		"until":   {observed.Filter{Until: day.Add(time.Hour)}, "GetUserByID ListUsers ListUsers"},
		"caller":  {observed.Filter{Caller: "unix:erp"}, "ListUsers"},
	} {
		var got []string
		for _, r := range use(t, t.TempDir(), c.filter, records...).Rules("x").Rules() {
			for range r.Callers {
				for _, op := range r.Operations {
					got = append(got, strings.TrimPrefix(op, users))
				}
			}
		}
		slices.Sort(got)
		if text := strings.Join(got, " "); text != c.want {
			t.Errorf("%s: got %s, want %s", name, text, c.want)
		}
	}
}

func TestFilesThatCannotBeReadSayWhere(t *testing.T) {
	good := log(t, t.TempDir(), []audit.Record{allowed("unix:crm", users+"ListUsers", "reader")})
	squeezed := new(bytes.Buffer)
	z := gzip.NewWriter(squeezed)
	_, err := z.Write(good)
	check(t, err)
	check(t, z.Close())
	u := observed.New(catalogue(t))
	check(t, u.Add(bytes.NewReader(squeezed.Bytes()), observed.Filter{}))
	check(t, u.Add(bytes.NewReader(nil), observed.Filter{}))
	if u.Records() != 1 {
		t.Errorf("%d records", u.Records())
	}
	for name, text := range map[string]string{
		"a broken line":  string(good) + "{\"time\":\n",
		"broken gzip":    "\x1f\x8b\x00\x00",
		"gzip cut short": string(squeezed.Bytes()[:squeezed.Len()-8]),
	} {
		if err := observed.New(catalogue(t)).Add(strings.NewReader(text), observed.Filter{}); err == nil {
			t.Errorf("%s: no error", name)
		} else if !strings.Contains(err.Error(), "get a whole copy of") {
			t.Errorf("%s: %v does not say what to do", name, err)
		} else if name == "a broken line" && !strings.Contains(err.Error(), "line 2") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

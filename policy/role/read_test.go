package role

import "testing"

func TestABrokenTableIsAnError(t *testing.T) {
	for name, text := range map[string]string{
		"a form that is not known":   "what is this\tnow\n",
		"an RPC without a service":   "\tList\tpermission\tuser.read\tio\t\tm\n",
		"a level that is none":       "s\n\tList\tpermission\tuser.read\tx\t\tm\n",
		"a set that is not there":    "s\n\tList\tpermission\tuser.read\tio\t\tm\t3\n",
		"a note that is not there":   "s\n\tList\tpermission\tuser.read\tio\t\tm\t\t0\n",
		"a variant's level":          "s\n\tList\tvariants\n\t\tcase\tpermission\tuser.read\tx\n",
		"a number that is no number": "s\n\tList\tpermission\tuser.read\tio\t\tm\tx\n",
	} {
		if _, err := read(text); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

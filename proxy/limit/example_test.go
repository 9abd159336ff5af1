package limit_test

import (
	"fmt"
	"time"

	"github.com/zproxy/zproxy/proxy/limit"
)

func ExampleLimits_Take() {
	limits := limit.New(&limit.Limit{Rate: 100, Burst: 200}, map[string]limit.Limit{"read users": {Rate: 2, Burst: 1}})
	now := time.Now()
	for range 2 {
		if no, ok := limits.Take("read users", "spiffe://example.org/crm", now); ok {
			fmt.Println("passes")
		} else {
			fmt.Printf("rule %q: no more than %v a second, try again in %v\n", no.Rule, no.Limit.Rate, no.Wait)
		}
	}
	// Output:
	// passes
	// rule "read users": no more than 2 a second, try again in 500ms
}

package policy

import (
	"strings"

	"github.com/zproxy/zproxy/policy/operation"
)

// suggest finds the operation whose name is nearest to a misspelt one; "" when
// none is near. Package and case are what is left out most, so an equal tail wins.
func suggest(name string, ops []*operation.Operation) string {
	lower := strings.ToLower(name)
	best, bestDistance := "", len(name)/4+1
	for _, op := range ops {
		have := strings.ToLower(string(op.Name))
		if tail, ok := strings.CutSuffix(have, lower); ok && lower != "" && (tail == "" || tail[len(tail)-1] == '.') {
			return string(op.Name)
		}
		if method := strings.Index(lower, "/"); method >= 0 && len(lower) > method+3 && strings.HasPrefix(have, lower) {
			return string(op.Name) // a method begun and not ended
		}
		if d := distance(lower, have, bestDistance); d < bestDistance {
			best, bestDistance = string(op.Name), d
		}
	}
	return best
}

// distance is Levenshtein's, or limit when it is at least that.
func distance(a, b string, limit int) int {
	if len(a)-len(b) >= limit || len(b)-len(a) >= limit {
		return limit
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal, least := row[0], i+1
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j]+1, row[j+1]+1, diagonal+cost)
			least = min(least, row[j+1])
		}
		if least >= limit {
			return limit
		}
	}
	return min(row[len(b)], limit)
}

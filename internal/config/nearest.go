package config

// nearest is the name that s was probably meant to be, or "".
func nearest(s string, names []string) string {
	best, within := "", len(s)/3+2
	for _, n := range names {
		if d := distance(s, n); d < within || d == within && best != "" && n < best {
			best, within = n, d
		}
	}
	return best
}

// distance is the number of letters to insert, remove or replace (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := before
			if a[i] != b[j] {
				cost++
			}
			before = row[j+1]
			row[j+1] = min(cost, row[j+1]+1, row[j]+1)
		}
	}
	return row[len(b)]
}

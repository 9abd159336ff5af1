package config

import "strings"

// secretKeys are keys under which secrets are put by mistake.
func secretKeys() []string {
	return []string{"key", "private_key", "secret", "client_secret", "token", "access_token", "pat", "password"}
}

// masked is a line of the file as faults show it, on terminals and in the logs
// of CI: without what follows a key for secrets, without the user part of a
// URL, without a line of a pasted PEM block, and without control characters.
func masked(line string) string {
	const dots = "…"
	for _, key := range secretKeys() {
		if end := afterKey(line, key); end > 0 && strings.Trim(line[end:], " ") != "" {
			line = line[:end] + " " + dots
		}
	}
	for from := 0; ; {
		next := strings.Index(line[from:], "://")
		if next < 0 {
			break
		}
		from += next + len("://")
		end := strings.IndexAny(line[from:]+" ", " \"'")
		if user := strings.LastIndex(line[from:from+end], "@"); user >= 0 {
			line = line[:from] + dots + line[from+user:]
		}
	}
	if text := strings.TrimSpace(line); len(text) >= 40 && isBase64(text) {
		line = line[:len(line)-len(text)] + dots
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' || r >= 0x7f && r < 0xa0 {
			return '\uFFFD'
		}
		return r
	}, line)
}

// afterKey is where the first `key:` of a line ends, quoted or not; 0 for none.
func afterKey(line, key string) int {
	lower := strings.ToLower(line)
	if len(lower) != len(line) { // some letter changes its length; places would not agree
		lower = line
	}
	for from := 0; ; {
		i := strings.Index(lower[from:], key)
		if i < 0 {
			return 0
		}
		start, end := from+i, from+i+len(key)
		colon := end + strings.IndexByte(lower[end:], ':')
		if (start == 0 || strings.IndexByte(" \t{,\"'?-", lower[start-1]) >= 0) && colon >= end && strings.Trim(lower[end:colon], " \t\"'") == "" {
			return colon + 1
		}
		from = end
	}
}

func isBase64(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') && c != '+' && c != '/' && c != '=' {
			return false
		}
	}
	return true
}

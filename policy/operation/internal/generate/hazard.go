package main

import (
	"fmt"
	"strings"
)

// authService acts on the token's own user with every RPC it has.
const authService = "zitadel.auth.v1.AuthService"

const ownUser = "own-user"

// parseHazards reads hazards.txt: a class on a line of its own, its operations
// below it behind a tab. The result maps full names to class names in file order.
func parseHazards(text string) (map[string][]string, error) {
	classes := make(map[string][]string)
	class := ""
	for i, line := range strings.Split(strings.TrimRight(text, "\n"), "\n") {
		name, isOperation := strings.CutPrefix(line, "\t")
		switch {
		case strings.HasPrefix(line, "#"):
		case !isOperation:
			class = line
		case class == "":
			return nil, fmt.Errorf("reading the hazard classes: line %d: an operation without a class above it", i+1)
		default:
			classes[name] = append(classes[name], class)
		}
	}
	return classes, nil
}

// withOwnUser adds own-user to what belongs to the Auth API.
func withOwnUser(service string, classes []string) []string {
	if service != authService {
		return classes
	}
	for _, c := range classes {
		if c == ownUser {
			return classes
		}
	}
	return append(classes[:len(classes):len(classes)], ownUser)
}

package provider

import (
	"strconv"
	"strings"
)

// The costs of bcrypt that are accepted. Below 4 there is none; each step doubles the time, and at 31 one login would
// keep a core busy for days.
const (
	minCost = 4
	maxCost = 14
)

// parseUsers reads lines of "user:bcrypt". Lines that cannot be used are problems, and the others are used; of two lines
// for one user the first counts.
func parseUsers(file []byte, prefix string) (*Htpasswd, []Problem) {
	users := &Htpasswd{Hashes: map[string][]byte{}}
	if problems := tooLarge("htpasswd", file); problems != nil {
		return users, problems
	}
	bad := faults{file: "htpasswd"}
	for number, line := range lines(file) {
		name, hash, ok := strings.Cut(line, ":")
		if strings.HasPrefix(line, reserved) {
			// The name ends at the first colon, so that this would be the user "system"; it was not meant.
			bad.add(number, nameFault("", reserved))
			continue
		}
		if !ok {
			bad.add(number, "expected user:hash")
			continue
		}
		if why := nameFault(prefix, name); why != "" {
			bad.add(number, why)
			continue
		}
		cost, ok := bcryptCost(hash)
		switch {
		case !ok:
			bad.add(number, "expected a bcrypt hash ($2a$, $2b$ or $2y$)")
			continue
		case cost < minCost || cost > maxCost:
			bad.add(number, "the cost of the hash must be from "+strconv.Itoa(minCost)+" to "+strconv.Itoa(maxCost))
			continue
		}
		if _, taken := users.Hashes[name]; taken {
			bad.add(number, "the user is on an earlier line already")
			continue
		}
		users.Hashes[name] = []byte(hash)
		users.Cost = max(users.Cost, cost)
	}
	return users, bad.problems()
}

// bcryptCost returns the cost of a hash of exactly the form $2y$NN$ and 53 characters of bcrypt's alphabet.
func bcryptCost(hash string) (cost int, ok bool) {
	if len(hash) != 60 || hash[:2] != "$2" || !strings.ContainsRune("aby", rune(hash[2])) || hash[3] != '$' || hash[6] != '$' {
		return 0, false
	}
	for _, c := range []byte(hash[7:]) {
		if !isAlphanumeric(c) && c != '.' && c != '/' {
			return 0, false
		}
	}
	tens, ones := hash[4]-'0', hash[5]-'0'
	if tens > 9 || ones > 9 {
		return 0, false
	}
	return int(tens)*10 + int(ones), true
}

func isAlphanumeric(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
}

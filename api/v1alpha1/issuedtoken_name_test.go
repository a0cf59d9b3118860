package v1alpha1_test

import (
	"fmt"
	"hash/fnv"
	"regexp"
	"strings"
)

// anyTokenID stands for an id that goes with the name of the object.
const anyTokenID = "the id of this name"

const randomPart = "-abcdefghijklmnopqrstuvwxyz"

var tokenID = regexp.MustCompile(`^[0-9]{1,5}-[0-9]{1,6}-[a-z2-7]{26}$`)

// tokenNamed gives an IssuedToken the name of its id, or, where the id is of no matter, the id of its name: other tests
// name their objects by words.
func tokenNamed(name string, spec any) (string, any) {
	if strings.HasPrefix(name, "token-") {
		return name, spec
	}
	sum := fnv.New32()
	_, _ = sum.Write([]byte(name))
	place := fmt.Sprint("0-", sum.Sum32()%131072)
	fields, ok := spec.(m)
	if !ok {
		return "token-" + place, spec
	}
	switch id, _ := fields["id"].(string); {
	case id == anyTokenID:
		return "token-" + place, merged(fields, m{"id": place + randomPart})
	case tokenID.MatchString(id):
		return "token-" + id[:strings.LastIndex(id, "-")], spec
	}
	return "token-" + place, spec
}

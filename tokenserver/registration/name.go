package registration

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"slices"
	"strings"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

var base32Lower = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// digest is a hash of texts of which none can pass for a part of another.
func digest(texts ...string) string {
	h := sha256.New()
	for _, text := range texts {
		var size [8]byte
		binary.BigEndian.PutUint64(size[:], uint64(len(text)))
		h.Write(size[:])
		h.Write([]byte(text))
	}
	return base32Lower.EncodeToString(h.Sum(nil))
}

const (
	// longestSlug is how much of a resource's name its object is called by.
	longestSlug  = 52
	digestLength = 10
)

// ResourceName is what the object of a registered resource is called: by its name, so that rules can match it, and by a part of a
// hash, so that the same registration always is the same object, and another is another.
func ResourceName(audience, owner, name string) string {
	return slug(name) + "-" + digest(audience, owner, name)[:digestLength]
}

func slug(name string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(name) {
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			b.WriteRune(r)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
		if b.Len() >= longestSlug {
			break
		}
	}
	if s := strings.Trim(b.String(), "-"); s != "" {
		return s
	}
	return "resource"
}

// RequestName is what a PermissionRequest is called: what is asked twice is one object.
func RequestName(uid, requester string, scopes []v1alpha1.ResourceScope) string {
	texts := make([]string, 0, len(scopes)+2)
	for _, s := range scopes {
		texts = append(texts, string(s))
	}
	slices.Sort(texts)
	return "preq-" + digest(append([]string{uid, requester}, slices.Compact(texts)...)...)[:26]
}

// Registrant is a label's value for a ServiceAccount: its name, or a part of a hash where that is too long.
func Registrant(account string) string {
	if len(account) <= 63 {
		return account
	}
	return "sha256-" + digest(account)[:40]
}

package state

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenwright/tokenwright/tokenserver/keyring"
)

func signingKey(name string) *corev1.Secret {
	return &corev1.Secret{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
		ObjectMeta: metav1.ObjectMeta{Name: keyring.SecretName(name), Namespace: "system", Labels: keyring.SecretLabels(name)},
		Type:       keyring.SecretType, Data: map[string][]byte{"private-x.pem": []byte("SENSITIVE")},
	}
}

func TestSecretsComeBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	d := open(t, path)
	authority := signingKey("a")
	authority.Name, authority.Type = keyring.CASecretName("a"), keyring.CASecretType
	want := map[string]*corev1.Secret{}
	for _, secret := range []*corev1.Secret{signingKey("a"), signingKey("b.c"), authority} {
		must(t, d.WriteSecret(secret))
		want[secret.Name] = secret
	}
	must(t, d.Close())
	got, err := open(t, path).ReadSecrets()
	must(t, err)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestDamagedFilesAreNamed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	d := open(t, path)
	must(t, d.WriteSecret(signingKey("a")))
	file := filepath.Join(path, "keys", "a-signing-key.json")
	good, err := os.ReadFile(file)
	must(t, err)
	cases := map[string]struct {
		reason string
		name   string
		text   []byte
		mode   os.FileMode
		want   string
	}{
		"cut off":          {"a disk was full", "a-signing-key.json", good[:len(good)/2], 0o600, "is damaged: it is not the JSON of a Secret"},
		"empty":            {"a machine crashed", "a-signing-key.json", nil, 0o600, "is damaged: it is not the JSON of a Secret"},
		"two in one":       {"which of them is it", "a-signing-key.json", append(bytes.Clone(good), good...), 0o600, "is damaged: something follows the Secret"},
		"another's":        {"it was renamed", "b-signing-key.json", good, 0o600, "is damaged: it is not the Secret b-signing-key"},
		"another type":     {"the server did not write it", "a-signing-key.json", bytes.Replace(good, []byte(`: "`+keyring.SecretType+`"`), []byte(`: "Opaque"`), 1), 0o600, "is damaged: it is a Secret of a type that is none of the server's"},
		"a field too many": {"the server did not write it", "a-signing-key.json", bytes.Replace(good, []byte(`"type"`), []byte(`"typ"`), 1), 0o600, "is damaged: it is not the JSON of a Secret"},
		"endless":          {"it must not fill the memory", "a-signing-key.json", bytes.Repeat([]byte(" "), maxSecretFile+1), 0o600, "is damaged: it has more than"},
		"for everybody":    {"they know the key", "a-signing-key.json", good, 0o644, "is not safe: it has mode 0644 and can be read by others: chmod it to 0600"},
		"of another kind":  {"what it is for is not known", "notes.txt", nil, 0o600, "is none of the server's files: remove it"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			must(t, os.RemoveAll(file))
			at := filepath.Join(path, "keys", c.name)
			must(t, os.WriteFile(at, c.text, c.mode))
			must(t, os.Chmod(at, c.mode))
			defer os.Remove(at) //nolint:errcheck // the next case would find it
			_, err := d.ReadSecrets()
			if err == nil || !strings.Contains(err.Error(), at+" "+c.want) {
				t.Fatalf("%s: %v does not say %q", c.reason, err, c.want)
			}
			if strings.Contains(err.Error(), "SENSITIVE") || strings.Contains(err.Error(), "U0VOU0lUSVZF") {
				t.Errorf("the error tells the key: %v", err)
			}
		})
	}
}

func TestALinkIsNoSecret(t *testing.T) {
	path, elsewhere := filepath.Join(t.TempDir(), "state"), t.TempDir()
	d := open(t, path)
	must(t, d.WriteSecret(signingKey("a")))
	file := filepath.Join(path, "keys", "a-signing-key.json")
	for name, target := range map[string]string{
		"to a file out of the folder": filepath.Join(elsewhere, "a.json"),
		"to a file in the folder":     "b-signing-key.json",
		"to nowhere":                  "nowhere",
	} {
		t.Run(name, func(t *testing.T) {
			must(t, os.Remove(file))
			must(t, os.Symlink(target, file))
			if _, err := d.ReadSecrets(); err == nil || !strings.Contains(err.Error(), "is not a plain file") {
				t.Errorf("read through it: %v", err)
			}
			must(t, d.WriteSecret(signingKey("a")))
			info, err := os.Lstat(file)
			must(t, err)
			if left, _ := os.ReadDir(elsewhere); !info.Mode().IsRegular() || len(left) > 0 {
				t.Errorf("written through it: %s, %v", info.Mode(), left)
			}
		})
	}
}

func TestNamesThatLeadElsewhere(t *testing.T) {
	parent := t.TempDir()
	d := open(t, filepath.Join(parent, "state"))
	before := modes(t, parent)
	for _, name := range []string{"", ".", "..", "../x", "a/b", "/x", ".x", "a/../../x", "A", "x\x00", strings.Repeat("x", 254), "..\\x"} {
		secret := signingKey("a")
		secret.Name = name
		if err := d.WriteSecret(secret); err == nil {
			t.Errorf("a Secret was written as %q", name)
		}
		if err := d.Publish(name, map[string]string{"jwks.json": "{}"}, Mark{"a", 1}); err == nil {
			t.Errorf("keys were published as %q", name)
		}
		if err := d.Withdraw(name); err == nil {
			t.Errorf("withdrawn was %q", name)
		}
	}
	if diff := cmp.Diff(before, modes(t, parent)); diff != "" {
		t.Errorf("something was written (-before +after):\n%s", diff)
	}
}

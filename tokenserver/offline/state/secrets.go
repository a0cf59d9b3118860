package state

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/tokenwright/tokenwright/tokenserver/keyring"
)

// extension ends the name of a Secret's file; before it comes the Secret's name.
const extension = ".json"

// maxSecretFile bounds a file: a Secret has at most 1 MiB, and base64 makes 4 bytes of 3.
const maxSecretFile = 2 << 20

// ReadSecrets returns all Secrets of the folder, by name. An error names the file, and nothing that is in it.
func (d *Dir) ReadSecrets() (map[string]*corev1.Secret, error) {
	entries, err := fs.ReadDir(d.keys.FS(), ".")
	if err != nil {
		return nil, fmt.Errorf("read the folder of keys: %w", err)
	}
	secrets := map[string]*corev1.Secret{}
	var errs []error
	for _, entry := range entries {
		name, ok := strings.CutSuffix(entry.Name(), extension)
		if !ok {
			errs = append(errs, fmt.Errorf("%s is none of the server's files: remove it", d.keyPath(entry.Name())))
			continue
		}
		secret, err := d.readSecret(name)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s %w", d.keyPath(entry.Name()), err))
			continue
		}
		secrets[name] = secret
	}
	return secrets, errors.Join(errs...)
}

func (d *Dir) readSecret(name string) (*corev1.Secret, error) {
	info, err := d.keys.Lstat(name + extension)
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w", err)
	}
	if err := checkFile("it", info); err != nil {
		return nil, fmt.Errorf("is not safe: %w", err)
	}
	file, err := d.keys.Open(name + extension)
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w", err)
	}
	defer file.Close() //nolint:errcheck // nothing was written
	text, err := io.ReadAll(io.LimitReader(file, maxSecretFile+1))
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w", err)
	}
	return decodeSecret(name, text)
}

// decodeSecret reads the manifest of a Secret of ours. What it says of a text that is none does not repeat it.
func decodeSecret(name string, text []byte) (*corev1.Secret, error) {
	if len(text) > maxSecretFile {
		return nil, fmt.Errorf("is damaged: it has more than %d bytes", maxSecretFile)
	}
	secret := &corev1.Secret{}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if decoder.Decode(secret) != nil {
		return nil, errors.New("is damaged: it is not the JSON of a Secret")
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("is damaged: something follows the Secret")
	}
	switch {
	case secret.APIVersion != "v1" || secret.Kind != "Secret" || secret.Name != name:
		return nil, fmt.Errorf("is damaged: it is not the Secret %s", name)
	case secret.Type != keyring.SecretType && secret.Type != keyring.CASecretType:
		return nil, errors.New("is damaged: it is a Secret of a type that is none of the server's")
	}
	return secret, nil
}

// WriteSecret replaces the file of the Secret.
func (d *Dir) WriteSecret(secret *corev1.Secret) error {
	if err := fileName(secret.Name); err != nil {
		return fmt.Errorf("write Secret %q: %w", secret.Name, err)
	}
	out := secret.DeepCopy()
	out.APIVersion, out.Kind = "v1", "Secret"
	text, err := json.MarshalIndent(out, "", "  ")
	if err != nil {
		return fmt.Errorf("encode Secret %s: %w", secret.Name, err)
	}
	if err := write(d.keys, secret.Name+extension, append(text, '\n'), secretFileMode); err != nil {
		return fmt.Errorf("write %s: %w", d.keyPath(secret.Name+extension), err)
	}
	return nil
}

// SecretPath is where the Secret of the name is or would be.
func (d *Dir) SecretPath(name string) string { return d.keyPath(name + extension) }

func (d *Dir) keyPath(name string) string { return filepath.Join(d.path, keysFolder, name) }

// fileName refuses a name that could not be an object's: such names lead nowhere else, and are not hidden.
func fileName(name string) error {
	if problems := validation.IsDNS1123Subdomain(name); len(problems) > 0 {
		return fmt.Errorf("the name cannot be that of a file: %s", strings.Join(problems, ", "))
	}
	return nil
}

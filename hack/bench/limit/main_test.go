package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
)

func TestLimitSignsAndAnswersAsManyBytes(t *testing.T) {
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string]crypto.Signer{"ES256": ec, "EdDSA": ed} {
		t.Run(name, func(t *testing.T) {
			der, err := x509.MarshalPKCS8PrivateKey(key)
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(t.TempDir(), "key.pem")
			if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
				t.Fatal(err)
			}
			sign, err := signer(file)
			if err != nil {
				t.Fatal(err)
			}
			signed := 0
			counting := func(message []byte) ([]byte, error) {
				signed = len(message)
				return sign(message)
			}
			for _, sizes := range [][2]int{{300, 1000}, {1000, 300}} {
				w := httptest.NewRecorder()
				handler(counting, sizes[0], sizes[1]).ServeHTTP(w, nil)
				if signed != sizes[0] || w.Body.Len() != sizes[1] || w.Code != 200 {
					t.Errorf("signed %d and answered %d bytes with status %d, want %v", signed, w.Body.Len(), w.Code, sizes)
				}
			}
		})
	}
	if _, err := signer("main.go"); err == nil {
		t.Error("a file that is no key was taken")
	}
}

// Package chart renders the chart with helm, as a user would. It owns how tests come by the chart's objects; what the
// objects must be is for the tests to say.
package chart

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/tokenwright/tokenwright/test/controlplane"
)

const (
	// SystemNamespace is where Render installs the chart.
	SystemNamespace = "tokenwright-system"
	// Release is the release's name.
	Release = "tokenwright"
	// oldestKubernetes is the oldest version that the chart supports: what renders for it renders for all.
	oldestKubernetes = "1.33.0"
)

// Folder is the chart's folder.
func Folder() string { return filepath.Join(controlplane.Root(), "charts", "tokenwright") }

// Render returns the objects that `helm install` would make with the arguments, such as --set=server.issuer=… or
// --values=FILE. An error holds what helm said.
func Render(args ...string) ([]*unstructured.Unstructured, error) {
	if err := touch(Folder()); err != nil {
		return nil, err
	}
	helm := filepath.Join(controlplane.Root(), "bin", "tools", "helm")
	args = append([]string{"template", Release, Folder(), "--namespace=" + SystemNamespace, "--kube-version=" + oldestKubernetes}, args...)
	cmd := exec.Command(helm, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%s (built by `make test-tools`): %w: %s", helm, err, stderr.String())
	}
	return Objects(stdout.Bytes())
}

// touch looks at every file of the folder. What another program reads, `go test` does not see: it would go on telling the
// result of before a file changed.
func touch(folder string) error {
	return filepath.WalkDir(folder, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("look at the chart: %w", err)
		}
		_, err = os.Stat(path)
		return err
	})
}

// Objects decodes the documents of a manifest.
func Objects(manifest []byte) ([]*unstructured.Unstructured, error) {
	var objects []*unstructured.Unstructured
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(manifest), 4096)
	for {
		var document json.RawMessage
		if err := decoder.Decode(&document); errors.Is(err, io.EOF) {
			return objects, nil
		} else if err != nil {
			return nil, fmt.Errorf("decode document %d of the manifest: %w", len(objects)+1, err)
		}
		if len(document) == 0 || string(document) == "null" {
			continue
		}
		var o unstructured.Unstructured
		if err := o.UnmarshalJSON(document); err != nil {
			return nil, fmt.Errorf("decode object %d of the manifest: %w", len(objects)+1, err)
		}
		objects = append(objects, &o)
	}
}

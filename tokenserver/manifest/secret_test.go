package manifest_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenwright/tokenwright/tokenserver/manifest"
)

// TestSecretsStaySecret shows that whatever is wrong with a Secret, what it contains is not said.
func TestSecretsStaySecret(t *testing.T) {
	const head = "apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: ns}\n"
	cases := map[string]struct{ reason, text, want string }{
		"a number": {
			"decoders quote it", head + "stringData: {password: 48151623}\n",
			"<stdin>:4: Secret ns/s: stringData[password]: must be a text: a number, true or false must stand in quotes\n",
		},
		"not base64": {"", head + "data:\n  password: \"4815-162342\"\n", "<stdin>:5: Secret ns/s: data[password]: must be base64: a text belongs into stringData\n"},
		"an object":  {"", head + "data: {password: {\"48151623\": x}}\n", "<stdin>:4: Secret ns/s: data[password]: must be a text: a number, true or false must stand in quotes\n"},
		"a text where keys should be": {
			"", head + "stringData: \"48151623\"\n", "<stdin>:4: Secret ns/s: stringData: must hold keys and texts\n",
		},
		"a star in front":      {"an alias's name", head + "stringData: {password: *48151623}\n", "<stdin>:4:  /: : is not YAML: an alias (*) names no anchor: a text that begins with * must stand in quotes\n"},
		"an exclamation mark":  {"a tag", head + "stringData: {password: !48151623 x}\n", ""},
		"another mark":         {"", head + "stringData: {password: !a!48151623 x}\n", "<stdin>:4:  /: : is not YAML: found undefined tag handle\n"},
		"a percent sign":       {"", head + "stringData: {password: %48151623}\n", "<stdin>:4:  /: : is not YAML: found character that cannot start any token\n"},
		"a quote in the midst": {"", head + "stringData: {password: \"48151623\"48151623}\n", "<stdin>:4:  /: : is not YAML: did not find expected ',' or '}'\n"},
		"a tag that does not fit": {
			"the library quotes the value", head + "stringData: {password: !!int \"4815-1623\"}\n", "<stdin>:1: Secret ns/s: : has a value that JSON does not know\n",
		},
		"in JSON": {"", `{"kind": "Secret",` + "\n" + `"stringData": {"password": "48151623}}`, "<stdin>:2:  /: : is not YAML: found unexpected end of stream\n"},
		"in an annotation": {
			"kubectl keeps a copy there", "apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: ns, annotations: {last: 48151623}}\n",
			"<stdin>:3: Secret ns/s: metadata.annotations: must be of type string, not number\n",
		},
		"as a time": {
			"the parser quotes it", "apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: ns, creationTimestamp: \"48151623\"}\n",
			"<stdin>:3: Secret ns/s: metadata: a field is of a wrong type\n",
		},
		"a key that cannot be": {"", head + "stringData: {\"a/b\": \"48151623\"}\n", "<stdin>:4: Secret ns/s: stringData[a/b]: a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')\n"},
		"a line of htpasswd as a key": {
			"it holds a hash", head + "stringData: {\"alice:$2y$05$48151623\": \"\"}\n",
			"<stdin>:4: Secret ns/s: stringData: a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')\n",
		},
		"a line of htpasswd as a key, twice": {
			"", head + "stringData: {\"alice:$48151623\": a, \"alice:$48151623\": b}\n", "<stdin>:4: Secret ns/s: stringData: is given twice: also on line 4\n",
		},
		"a line of htpasswd as a field": {"", head + "\"alice:$48151623\": a\n", "<stdin>:4: Secret ns/s: : there is no such field\n"},
		"a line of htpasswd as a label": {
			"", "apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: ns, labels: {users: \"alice:$48151623\"}}\n",
			"<stdin>:3: Secret ns/s: metadata.labels: Invalid value: a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')\n",
		},
		"other fields": {
			"", head + "type: 1\nimmutable: \"48151623\"\nDate: {a: \"48151623\"}\n",
			"<stdin>:4: Secret ns/s: type: must be a text\n<stdin>:5: Secret ns/s: immutable: must be true or false\n<stdin>:6: Secret ns/s: Date: there is no such field\n",
		},
		"too much": {"", head + "stringData: {a: \"" + strings.Repeat("48151623", 1<<17+1) + "\"}\n", "<stdin>:1: Secret ns/s: : must hold at most 1048576 bytes\n"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			set, problems := readText(t, tc.text)
			if diff := cmp.Diff(tc.want, lines(problems)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
			if strings.Contains(lines(problems), "4815") {
				t.Errorf("%s: the content is told: %s", tc.reason, lines(problems))
			}
			if (len(set.Secrets) == 0) != (len(problems) > 0) {
				t.Errorf("%s: %d Secrets, and the problems %s", tc.reason, len(set.Secrets), lines(problems))
			}
		})
	}
}

// TestSecretTaken shows what a Secret may look like.
func TestSecretTaken(t *testing.T) {
	set, problems := readText(t, "apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: ns}\nimmutable: true\ntype: example.com/t\ndata: {a: \"YQ\\n==\", b: null}\nstringData: null\n")
	if len(problems) > 0 {
		t.Fatal(lines(problems))
	}
	s := set.Secrets[0]
	if diff := cmp.Diff(map[string][]byte{"a": []byte("a"), "b": {}}, s.Data); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if s.Type != "example.com/t" || s.Immutable == nil || !*s.Immutable {
		t.Errorf("%+v", s)
	}
	if at := set.Source(s); at.LineOf("data[a]") != 6 || at.String() != manifest.StdinName+":1" {
		t.Errorf("it stands at %s, data at %d", at, at.LineOf("data[a]"))
	}
}

// Package opaque owns the strings that stand for records: refresh tokens, what keys they are sealed with, and the Secret
// that holds those keys. A string that this package opens was made by us, has not ended, and names one record; so junk never
// makes anybody look for a record. It does not own records (package record), nor who may have such a string (package grant).
package opaque

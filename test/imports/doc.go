// Package imports holds the project to the directions in which its packages may import each other, and the pure packages
// to being pure. It owns the table of layers and the checker; it knows nothing of what the packages do.
package imports

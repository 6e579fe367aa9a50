// In front of every source of this folder.

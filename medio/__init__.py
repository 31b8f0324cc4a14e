"""Medical data: files in, pairs of image and report out."""

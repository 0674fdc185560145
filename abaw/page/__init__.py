"""What all HTML pages of the project share: colours, style, the document around the parts."""

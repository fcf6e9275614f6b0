#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""embed.py FILE NAME OUT: writes a C source that holds the file's bytes as NAME and NAME_length."""
import sys

source, name, target = sys.argv[1:]
with open(source, 'rb') as file:
    data = file.read()
rows = [', '.join(map(str, data[at:at + 32])) for at in range(0, len(data), 32)]
with open(target, 'w', encoding='ascii') as file:
    file.write(f'#include "page.h"\n\nconst char {name}[] = {{\n    ' + ',\n    '.join(rows) + '\n};\n'
               f'const size_t {name}_length = sizeof {name};\n')

import sys

from asyncimport.emulator.standalone import main

if __name__ == "__main__":
    sys.exit(main())

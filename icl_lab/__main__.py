from icl_lab.cli import main

main()

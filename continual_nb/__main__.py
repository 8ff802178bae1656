from continual_nb.cli.main import main

if __name__ == "__main__":
    main()

"""Arguments and options of the subcommands about people."""

from typing import Annotated

import typer

from marquee.cli.library.options import member
from marquee.cli.options import FaceBox, parse_face_box
from marquee.library.enums import FaceState
from marquee.library.people.enums import DecisionForm

Person = Annotated[
    str, typer.Argument(metavar="PERSON", help="Name, alias or ID, as shown by `marquee library people list`.")
]
Others = Annotated[list[str], typer.Argument(metavar="OTHER", help="Likewise.")]
Other = Annotated[str, typer.Argument(metavar="OTHER", help="Likewise.")]
OptionalPerson = Annotated[
    str, typer.Argument(metavar="PERSON", show_default=False, help="Only about them: name, alias or ID. Default: all.")
]
Words = Annotated[
    str,
    typer.Argument(
        metavar="WORDS", show_default=False, help="Beginnings of words of a name or an alias. Default: everybody."
    ),
]
NewName = Annotated[str, typer.Argument(metavar="NAME", help="Their name.")]
Aliases = Annotated[list[str], typer.Option("--alias", metavar="NAME", help="Another name of theirs. Repeatable.")]
AddAliases = Annotated[list[str], typer.Option("--add", metavar="NAME", help="Add this alias. Repeatable.")]
RemoveAliases = Annotated[list[str], typer.Option("--remove", metavar="NAME", help="Remove this alias. Repeatable.")]
Hidden = Annotated[bool, typer.Option("--hidden", help="Hidden people, too.")]
FacesOf = Annotated[
    list[str],
    typer.Argument(
        metavar="FACE", show_default=False, help="IDs of faces, or PICTURE_ID#2: the picture's second from the left."
    ),
]
Face = Annotated[
    str, typer.Argument(metavar="FACE", help="ID of a face, or PICTURE_ID#2: the picture's second from the left.")
]
OptionalFace = Annotated[str, typer.Argument(metavar="FACE", show_default=False, help="ID of a face, or PICTURE_ID#2.")]
TheirFaces = Annotated[
    list[str], typer.Option("--face", metavar="FACE", help="A face of theirs: its ID, or PICTURE_ID#2. Repeatable.")
]
FacesFrom = Annotated[
    str | None,
    typer.Option(
        metavar="LIST",
        show_default=False,
        help="File with one more FACE on each line, as from `faces -o ids`; - for standard input.",
    ),
]
CreateThem = Annotated[bool, typer.Option("--create", help="Create the person if nobody has the name.")]
Ignored = Annotated[bool, typer.Option("--ignored", help="Of nobody who matters.")]
NotAFace = Annotated[bool, typer.Option("--not-a-face", help="No face at all.")]
Undecided = Annotated[bool, typer.Option("--undecided", help="Take what was decided of them back.")]
Picture = Annotated[str, typer.Argument(metavar="PICTURE_ID", help="ID as shown by `marquee library search`.")]
Drawn = Annotated[
    FaceBox,
    typer.Argument(
        metavar="LEFT,TOP,WIDTH,HEIGHT", parser=parse_face_box, help="Its box in fractions of the upright picture."
    ),
]
WhoItIs = Annotated[
    str, typer.Option("--person", metavar="PERSON", show_default=False, help="Whom it shows: name, alias or ID.")
]
OfPerson = Annotated[str, typer.Option("--person", metavar="PERSON", show_default=False, help="Faces of this person.")]
OfCluster = Annotated[str, typer.Option("--cluster", metavar="ID", show_default=False, help="Faces of this cluster.")]
OfPicture = Annotated[
    str, typer.Option("--picture", metavar="PICTURE_ID", show_default=False, help="Faces in this picture.")
]
InState = Annotated[
    str | None,
    typer.Option(
        "--state",
        metavar="STATE",
        parser=member(FaceState),
        show_default=False,
        help="Faces that are new, tried, ignored, not-a-face or erased.",
    ),
]
Unnamed = Annotated[bool, typer.Option("--unnamed", help="Faces that show nobody who is known.")]
AutoCover = Annotated[bool, typer.Option("--auto", help="Leave the choice to the library.")]
Group = Annotated[int, typer.Option("--group", metavar="N", min=0, help="Move this group's faces.", show_default=False)]
ToWhom = Annotated[
    str,
    typer.Option(
        "--to", metavar="NAME", show_default=False, help="Who gets them: a name, alias or ID; a new name is created."
    ),
]
Crops = Annotated[
    str,
    typer.Option(
        "--crops",
        metavar="FOLDER",
        show_default=False,
        help="Write the faces there, cut out of their pictures: a folder of each group.",
    ),
]
CropFile = Annotated[str, typer.Argument(metavar="FILE", help="WebP file to write; - for standard output.")]
DrawQuestion = Annotated[
    str,
    typer.Option(
        "--draw",
        metavar="FILE",
        show_default=False,
        help="Write each question's picture there, with its faces drawn: a .png or .svg file.",
    ),
]
SuggestionId = Annotated[str, typer.Argument(metavar="QUESTION", help="ID as shown by `suggest -o json`.")]
Answer = Annotated[str, typer.Argument(metavar="same|not-same|skip", help="The answer; not-same holds for ever.")]
ClusterName = Annotated[
    str, typer.Option("--name", metavar="NAME", show_default=False, help="Who a cluster is, if they are new.")
]
ClusterPerson = Annotated[
    str, typer.Option("--person", metavar="PERSON", show_default=False, help="Who a cluster is, if they are known.")
]
LikePerson = Annotated[
    str, typer.Option(metavar="PERSON", show_default=False, help="Like any of this person's decided faces.")
]
LikePicture = Annotated[
    str, typer.Option(metavar="FILE", show_default=False, help="Like the one face in this picture, which is not kept.")
]
Nearest = Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, metavar="N", help="Find at most so many.")]
MaxDistance = Annotated[
    float | None,
    typer.Option(metavar="D", min=0, show_default=False, help="Greatest distance, by the model's metric."),
]
ActionIds = Annotated[
    list[str], typer.Argument(metavar="ACTION", help="IDs as shown by `marquee library people actions`.")
]
Recognizers = Annotated[
    list[str],
    typer.Option("--recognizer", metavar="NAME", help="Recognizer. Repeatable. Default: all that enroll."),
]
AllowSimilar = Annotated[
    bool, typer.Option("--allow-similar", help="Enroll faces that match another person's, too, such as a twin's.")
]
Mend = Annotated[bool, typer.Option("--mend", help="Mend the differences.")]
RecognizerCollection = Annotated[
    str,
    typer.Option(
        metavar="NAME", show_default=False, help="Collection of the recognizers to adopt from. Default: theirs."
    ),
]
ErasePictures = Annotated[
    bool, typer.Option("--pictures", help="Erase the pictures, too, on which nobody else is known.")
]
EraseObjects = Annotated[
    bool, typer.Option("--objects", help="Delete those pictures' objects in S3, with all versions.")
]
TarFile = Annotated[
    str, typer.Option("--output", "-o", metavar="FILE", help="tar file to write; it appears once it is whole.")
]
EmbedRecognizer = Annotated[
    str,
    typer.Option("--recognizer", metavar="NAME", show_default=False, help="Whose model. Default: the one that has."),
]
Stop = Annotated[bool, typer.Option("--stop", help="Stop it; it goes on where it was.")]
WaitForAll = Annotated[bool, typer.Option("--wait", help="Wait until all faces are embedded.")]
ModelId = Annotated[int, typer.Argument(metavar="MODEL", help="Number as shown by `marquee library people models`.")]
OldModelId = Annotated[
    int, typer.Argument(metavar="OLD", show_default=False, help="What to compare it with. Default: the one in use.")
]
Form = Annotated[
    str,
    typer.Option(
        "--form",
        metavar="FORM",
        parser=member(DecisionForm),
        help="training: a folder of each person. calibration: pictures with a table of whom they show.",
    ),
]
LeastFaces = Annotated[
    int, typer.Option("--min-faces", min=1, metavar="N", help="Only people with so many decided faces.")
]
SampleSize = Annotated[int, typer.Option("--faces", min=1, max=1000, metavar="N", help="Number of faces to look for.")]
Neighbours = Annotated[int, typer.Option(min=1, max=100, metavar="N", help="Number of nearest faces of each.")]
